-- Which models do people wait for longest, week by week?
SELECT
    CAST(date_trunc('week', day) AS DATE) AS week,
    model,
    count(*) AS requests,
    CAST(percentile_disc(0.5) WITHIN GROUP (ORDER BY timing.ttft_ms) AS BIGINT) AS ttft_ms_p50,
    CAST(percentile_disc(0.5) WITHIN GROUP (ORDER BY timing.total_ms) AS BIGINT) AS total_ms_p50,
    CAST(sum(timing.total_ms) AS BIGINT) AS total_ms
FROM requests
WHERE kind = 'conversation' AND model IS NOT NULL
GROUP BY CAST(date_trunc('week', day) AS DATE), model
ORDER BY week NULLS LAST, total_ms_p50 DESC NULLS LAST, model
