-- Records what the watch decided about a month's file.
-- Grain: one row.
-- Parameters: bound: warehouse, source, month, connection, url, decision, reason, run_id, etag, last_modified, bytes,
-- is_there (whether the file is), checked_at.
-- Twice: safe, the row of the month takes the values of the last look.
INSERT INTO taxiway.watched_files AS known (
    warehouse, source, month, connection, url, decision, reason, run_id, etag, last_modified, bytes, first_seen_at,
    decided_at, checked_at
)
VALUES (
    %(warehouse)s,
    %(source)s,
    %(month)s,
    %(connection)s,
    %(url)s,
    %(decision)s,
    %(reason)s,
    %(run_id)s,
    %(etag)s,
    %(last_modified)s,
    %(bytes)s,
    CASE WHEN %(is_there)s THEN %(checked_at)s::timestamptz END,
    %(checked_at)s,
    %(checked_at)s
)
ON CONFLICT (warehouse, source, month) DO UPDATE
    SET
        connection = excluded.connection,
        url = excluded.url,
        decision = excluded.decision,
        reason = excluded.reason,
        run_id = excluded.run_id,
        etag = excluded.etag,
        last_modified = excluded.last_modified,
        bytes = excluded.bytes,
        first_seen_at = COALESCE(known.first_seen_at, excluded.first_seen_at),
        decided_at = CASE WHEN known.decision = excluded.decision THEN known.decided_at ELSE excluded.decided_at END,
        checked_at = excluded.checked_at
