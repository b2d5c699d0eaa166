-- Records in the ledger what happened to an attempt.
-- Grain: one row of load_events.
-- Parameters: dataset (with its project); bound: load_id, source, month, destination, run_id, attempt, try_number,
-- fetched_load_id, step, state, filename, url, etag, last_modified, bytes, sha256, unpacked_bytes, layout, row_id_version,
-- yaml_sha256, rows_read, rows_rejected, rows_staged, rows_inserted, rows_deleted, rows_unchanged, publication, warnings,
-- started_at (of an attempt that begins), error, earlier_load_ids (the attempt, and the one whose file it goes on with).
-- Twice: safe, the view loads shows the last event of an attempt.
-- An attempt's number is one more than the greatest of its month when it is first recorded: clocks may go back. If this
-- event has no values for the file or the rows, they come from an earlier event of the attempt. The try and the start
-- come from its first event. An attempt that has published the month stays published, and keeps its end. If a later try
-- fails, the attempt has that error.
INSERT INTO `{{ dataset }}.load_events` (
    load_id, load_number, source, month, destination, run_id, attempt, try_number, fetched_load_id, step, state, filename,
    url, etag, last_modified, bytes, sha256, unpacked_bytes, layout, row_id_version, yaml_sha256, rows_read, rows_rejected,
    rows_staged, rows_inserted, rows_deleted, rows_unchanged, publication, warnings, started_at, finished_at, error, recorded_at
)
SELECT
    @load_id AS load_id,
    COALESCE(MAX(IF(load_id = @load_id, load_number, NULL)), MAX(load_number) + 1, 1) AS load_number,
    @source AS source,
    @month AS month,
    @destination AS destination,
    @run_id AS run_id,
    @attempt AS attempt,
    COALESCE(MAX(IF(load_id = @load_id, try_number, NULL)), @try_number) AS try_number,
    @fetched_load_id AS fetched_load_id,
    @step AS step,
    COALESCE(MAX(IF(load_id = @load_id AND state = 'published', state, NULL)), @state) AS state,
    @filename AS filename,
    COALESCE(@url, MAX(IF(load_id IN UNNEST(@earlier_load_ids), url, NULL))) AS url,
    COALESCE(@etag, MAX(IF(load_id IN UNNEST(@earlier_load_ids), etag, NULL))) AS etag,
    COALESCE(@last_modified, MAX(IF(load_id IN UNNEST(@earlier_load_ids), last_modified, NULL))) AS last_modified,
    COALESCE(@bytes, MAX(IF(load_id IN UNNEST(@earlier_load_ids), bytes, NULL))) AS bytes,
    COALESCE(@sha256, MAX(IF(load_id IN UNNEST(@earlier_load_ids), sha256, NULL))) AS sha256,
    COALESCE(@unpacked_bytes, MAX(IF(load_id IN UNNEST(@earlier_load_ids), unpacked_bytes, NULL))) AS unpacked_bytes,
    COALESCE(@layout, MAX(IF(load_id = @load_id, layout, NULL))) AS layout,
    COALESCE(@row_id_version, MAX(IF(load_id = @load_id, row_id_version, NULL))) AS row_id_version,
    COALESCE(@yaml_sha256, MAX(IF(load_id = @load_id, yaml_sha256, NULL))) AS yaml_sha256,
    COALESCE(@rows_read, MAX(IF(load_id = @load_id, rows_read, NULL))) AS rows_read,
    COALESCE(@rows_rejected, MAX(IF(load_id = @load_id, rows_rejected, NULL))) AS rows_rejected,
    COALESCE(@rows_staged, MAX(IF(load_id = @load_id, rows_staged, NULL))) AS rows_staged,
    COALESCE(@rows_inserted, MAX(IF(load_id = @load_id, rows_inserted, NULL))) AS rows_inserted,
    COALESCE(@rows_deleted, MAX(IF(load_id = @load_id, rows_deleted, NULL))) AS rows_deleted,
    COALESCE(@rows_unchanged, MAX(IF(load_id = @load_id, rows_unchanged, NULL))) AS rows_unchanged,
    COALESCE(@publication, MAX(IF(load_id = @load_id, publication, NULL))) AS publication,
    @warnings AS warnings,
    COALESCE(MAX(IF(load_id = @load_id, started_at, NULL)), @started_at, CURRENT_TIMESTAMP()) AS started_at,
    COALESCE(
        MAX(IF(load_id = @load_id AND state = 'published', finished_at, NULL)),
        IF(@state = 'running', NULL, CURRENT_TIMESTAMP())
    ) AS finished_at,
    @error AS error,
    CURRENT_TIMESTAMP() AS recorded_at
FROM `{{ dataset }}.load_events`
WHERE source = @source AND month = @month AND destination = @destination
