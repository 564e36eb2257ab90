-- Which tools did nobody ever call, over all users, and how large are they in every prompt?
SELECT
    server,
    name,
    max(bytes) AS bytes,
    max(tokens) AS tokens,
    CAST(sum(requests) AS BIGINT) AS requests
FROM tools
GROUP BY server, name
HAVING NOT bool_or(called)
ORDER BY bytes DESC, name
