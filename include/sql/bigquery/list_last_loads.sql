-- Lists how the last attempt of each month ended, and what is published.
-- Grain: one row per source and month that somebody has tried to load.
-- Parameters: dataset (with its project), is_earlier (whether the ledger is version 0.1.0's, without layouts); bound:
-- sources (their names), destination.
-- Twice: safe, it only reads.
WITH last_attempts AS (
    SELECT
        source,
        month,
        state,
        error,
        run_id,
        step,
        started_at,
        MAX(IF(state IN ('published', 'unchanged'), finished_at, NULL)) OVER (PARTITION BY source, month)
            AS confirmed_at
    FROM `{{ dataset }}.loads`
    WHERE source IN UNNEST(@sources) AND destination = @destination
    QUALIFY ROW_NUMBER() OVER (PARTITION BY source, month ORDER BY load_number DESC, load_id DESC) = 1
),

published AS (
    SELECT
        source,
        month,
        filename,
        bytes,
        {{ "CAST(NULL AS STRING)" if is_earlier else "layout" }} AS layout,
        rows_staged,
        rows_rejected,
        warnings,
        started_at,
        finished_at
    FROM `{{ dataset }}.loads`
    WHERE source IN UNNEST(@sources) AND destination = @destination AND state = 'published'
    QUALIFY ROW_NUMBER() OVER (PARTITION BY source, month ORDER BY publication DESC, load_number DESC) = 1
)

SELECT
    last_attempts.source,
    last_attempts.month,
    last_attempts.state AS last_state,
    last_attempts.error AS last_error,
    last_attempts.run_id AS last_run_id,
    last_attempts.step AS last_step,
    last_attempts.started_at AS last_started_at,
    published.filename,
    published.bytes,
    published.layout,
    published.rows_staged AS row_count,
    published.rows_rejected,
    published.warnings,
    published.started_at AS published_started_at,
    published.finished_at AS published_at,
    last_attempts.confirmed_at
FROM last_attempts
LEFT JOIN published
    ON
        last_attempts.source = published.source
        AND last_attempts.month = published.month
ORDER BY last_attempts.source, last_attempts.month
