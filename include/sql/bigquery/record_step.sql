-- Enters in the ledger what became of an attempt.
-- Grain: one row of load_events.
-- Parameters: dataset (with its project); bound: load_id, source, month, destination, run_id, attempt, fetched_load_id,
-- step, state, filename, url, etag, last_modified, bytes, sha256, rows_read, rows_rejected, rows_staged, rows_inserted,
-- rows_deleted, rows_unchanged, publication, warnings, started_at, error.
-- Twice: safe, the view loads shows the last event of an attempt.
-- An attempt's number is one more than the greatest of its month when it is first entered: clocks may go back.
INSERT INTO `{{ dataset }}.load_events` (
    load_id, load_number, source, month, destination, run_id, attempt, fetched_load_id, step, state, filename, url, etag,
    last_modified, bytes, sha256, rows_read, rows_rejected, rows_staged, rows_inserted, rows_deleted, rows_unchanged,
    publication, warnings, started_at, finished_at, error, recorded_at
)
SELECT
    @load_id AS load_id,
    COALESCE(MAX(IF(load_id = @load_id, load_number, NULL)), MAX(load_number) + 1, 1) AS load_number,
    @source AS source,
    @month AS month,
    @destination AS destination,
    @run_id AS run_id,
    @attempt AS attempt,
    @fetched_load_id AS fetched_load_id,
    @step AS step,
    @state AS state,
    @filename AS filename,
    @url AS url,
    @etag AS etag,
    @last_modified AS last_modified,
    @bytes AS bytes,
    @sha256 AS sha256,
    @rows_read AS rows_read,
    @rows_rejected AS rows_rejected,
    @rows_staged AS rows_staged,
    @rows_inserted AS rows_inserted,
    @rows_deleted AS rows_deleted,
    @rows_unchanged AS rows_unchanged,
    @publication AS publication,
    @warnings AS warnings,
    @started_at AS started_at,
    IF(@state = 'running', NULL, CURRENT_TIMESTAMP()) AS finished_at,
    @error AS error,
    CURRENT_TIMESTAMP() AS recorded_at
FROM `{{ dataset }}.load_events`
WHERE source = @source AND month = @month AND destination = @destination
