-- Lists how the last attempt of each month ended, and what is published.
-- Grain: one row per source and month that somebody has tried to load.
-- Parameters: is_earlier (whether the ledger is version 0.1.0's, without layouts); bound: sources (their names),
-- destination.
-- Twice: safe, it only reads.
-- Which attempts these are is found in one pass: the view taxiway.months looks for them attempt by attempt. Then each is
-- found by its key; LIMIT keeps the planner from reading all attempts again.
-- Published last is the attempt whose file was fetched last, and of those with the same file the last one. Few attempts
-- go on with the file of another one: only these are compared by both, for an array of each attempt takes long.
WITH found AS (
    SELECT
        MAX(load_id) AS last_id,
        MAX(finished_at) FILTER (WHERE state IN ('published', 'unchanged')) AS confirmed_at,
        MAX(load_id) FILTER (WHERE state = 'published' AND fetched_load_id IS NULL) AS own_id,
        MAX(ARRAY[fetched_load_id, load_id]) FILTER (
            WHERE state = 'published' AND fetched_load_id IS NOT NULL
        ) AS with_file_of
    FROM taxiway.loads
    WHERE source = ANY(%(sources)s) AND destination = %(destination)s
    GROUP BY source, month
),

chosen AS MATERIALIZED (
    SELECT
        last_id,
        confirmed_at,
        CASE WHEN own_id > with_file_of[1] OR with_file_of IS NULL THEN own_id ELSE with_file_of[2] END AS published_id
    FROM found
)

SELECT
    last_attempt.source,
    last_attempt.month,
    last_attempt.state AS last_state,
    last_attempt.error AS last_error,
    last_attempt.run_id AS last_run_id,
    last_attempt.step AS last_step,
    last_attempt.started_at AS last_started_at,
    published.filename,
    published.bytes,
    published.layout,
    published.rows_staged AS row_count,
    published.rows_rejected,
    published.warnings,
    published.started_at AS published_started_at,
    published.finished_at AS published_at,
    chosen.confirmed_at
FROM chosen
CROSS JOIN LATERAL (
    SELECT
        last_one.source,
        last_one.month,
        last_one.state,
        last_one.error,
        last_one.run_id,
        last_one.step,
        last_one.started_at
    FROM taxiway.loads AS last_one
    WHERE last_one.load_id = chosen.last_id
    ORDER BY last_one.load_id
    LIMIT 1
) AS last_attempt
LEFT JOIN LATERAL (
    SELECT
        published_one.filename,
        published_one.bytes,
        {{ "NULL::text" if is_earlier else "published_one.layout" }} AS layout,
        published_one.rows_staged,
        published_one.rows_rejected,
        published_one.warnings,
        published_one.started_at,
        published_one.finished_at
    FROM taxiway.loads AS published_one
    WHERE published_one.load_id = chosen.published_id
    ORDER BY published_one.load_id
    LIMIT 1
) AS published ON TRUE
ORDER BY last_attempt.source, last_attempt.month
