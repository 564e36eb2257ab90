-- How does the time to first token grow with the tokens that had to be read?
SELECT
    model,
    CAST(floor(timing.read_tokens / 1000) * 1000 AS BIGINT) AS read_tokens_from,
    count(*) AS requests,
    CAST(percentile_disc(0.5) WITHIN GROUP (ORDER BY timing.ttft_ms) AS BIGINT) AS ttft_ms_p50
FROM requests
WHERE timing.read_tokens IS NOT NULL AND timing.ttft_ms IS NOT NULL AND model IS NOT NULL
GROUP BY model, CAST(floor(timing.read_tokens / 1000) * 1000 AS BIGINT)
ORDER BY model, read_tokens_from
