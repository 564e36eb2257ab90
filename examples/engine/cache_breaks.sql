-- What breaks prompt caches, and what does each cause cost?
SELECT
    cause,
    count(*) AS breaks,
    CAST(sum(lost_bytes) AS BIGINT) AS lost_bytes,
    CAST(sum(lost_tokens) AS BIGINT) AS lost_tokens,
    CAST(sum(lost_ms) AS BIGINT) AS lost_ms
FROM breaks
GROUP BY cause
ORDER BY lost_bytes DESC, cause
