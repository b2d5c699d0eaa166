-- Records a new attempt to load a month.
-- Grain: one row. If the run has an earlier attempt, the new one takes over the file, the counts and the rejected rows
-- that it recorded; stage_month counts and rejects anew.
-- Parameters: bound: source, month, destination, run_id, attempt, try_number, step, filename, layout,
-- row_id_version, yaml_sha256, started_at, before (the load_id of the attempt before, or NULL).
-- Twice: the second call records another attempt; its number is unique in the run.
INSERT INTO taxiway.loads (
    source, month, destination, run_id, attempt, try_number, step, state, filename, layout, row_id_version, yaml_sha256,
    started_at
)
VALUES (
    %(source)s,
    %(month)s,
    %(destination)s,
    %(run_id)s,
    %(attempt)s,
    %(try_number)s,
    %(step)s,
    'running',
    %(filename)s,
    %(layout)s,
    %(row_id_version)s,
    %(yaml_sha256)s,
    %(started_at)s
);

UPDATE taxiway.loads AS recorded
SET
    url = earlier.url,
    etag = earlier.etag,
    last_modified = earlier.last_modified,
    bytes = earlier.bytes,
    sha256 = earlier.sha256,
    unpacked_bytes = earlier.unpacked_bytes,
    fetched_load_id = COALESCE(earlier.fetched_load_id, earlier.load_id),
    rows_read = CASE WHEN recorded.step <> 'stage_month' THEN earlier.rows_read END,
    rows_rejected = CASE WHEN recorded.step <> 'stage_month' THEN earlier.rows_rejected END,
    rows_staged = CASE WHEN recorded.step <> 'stage_month' THEN earlier.rows_staged END,
    warnings = earlier.warnings,
    layout = CASE WHEN recorded.step <> 'stage_month' THEN COALESCE(earlier.layout, recorded.layout) ELSE recorded.layout END
FROM taxiway.loads AS earlier
WHERE
    earlier.load_id = %(before)s
    AND recorded.source = %(source)s
    AND recorded.month = %(month)s
    AND recorded.destination = %(destination)s
    AND recorded.run_id = %(run_id)s
    AND recorded.attempt = %(attempt)s;

UPDATE taxiway.rejected_rows
SET load_id = recorded.load_id
FROM taxiway.loads AS earlier, taxiway.loads AS recorded
WHERE
    rejected_rows.load_id = earlier.load_id
    AND earlier.load_id = %(before)s
    AND earlier.state <> 'published'
    AND recorded.step <> 'stage_month'
    AND recorded.source = %(source)s
    AND recorded.month = %(month)s
    AND recorded.destination = %(destination)s
    AND recorded.run_id = %(run_id)s
    AND recorded.attempt = %(attempt)s
