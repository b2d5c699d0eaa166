-- Enters a load in the ledger, or starts its entry over when its run is tried again.
-- Grain: one row per source, month, destination and run.
-- Parameters: bound: source, month, destination, run_id, filename, url, etag, last_modified, bytes, sha256, started_at.
-- Twice: safe, the entry starts over.
INSERT INTO taxiway.loads (
    source, month, destination, run_id, state, filename, url, etag, last_modified, bytes, sha256, started_at
)
VALUES (
    %(source)s, %(month)s, %(destination)s, %(run_id)s, 'staging', %(filename)s, %(url)s, %(etag)s,
    %(last_modified)s, %(bytes)s, %(sha256)s, %(started_at)s
)
ON CONFLICT (source, month, destination, run_id) DO UPDATE SET
state = excluded.state,
filename = excluded.filename,
url = excluded.url,
etag = excluded.etag,
last_modified = excluded.last_modified,
bytes = excluded.bytes,
sha256 = excluded.sha256,
started_at = excluded.started_at,
rows_read = NULL,
rows_rejected = NULL,
rows_staged = NULL,
rows_inserted = NULL,
rows_deleted = NULL,
rows_unchanged = NULL,
finished_at = NULL,
error = NULL
