-- Creates the table of what the watch has decided.
-- Grain: one row per warehouse, source and month that the last look was about.
-- Parameters: none.
-- Twice: safe, it is created only if it is absent; the caller holds the lock on definitions.
CREATE TABLE IF NOT EXISTS taxiway.watched_files (
    warehouse text NOT NULL,
    source text NOT NULL,
    month date NOT NULL,
    connection text NOT NULL,
    url text,
    decision text NOT NULL CHECK (
        decision IN (
            'new', 'changed', 'unchanged', 'loading', 'failed', 'later',
            'waiting', 'overdue', 'vanished', 'unknown', 'gap', 'behind'
        )
    ),
    reason text NOT NULL,
    run_id text,
    etag text,
    last_modified text,
    bytes bigint,
    first_seen_at timestamptz,
    decided_at timestamptz NOT NULL,
    checked_at timestamptz NOT NULL,
    PRIMARY KEY (warehouse, source, month)
);

COMMENT ON TABLE taxiway.watched_files IS
'What the DAG taxi_watch decided in its last look at each file, and why: docs/watch.md';
COMMENT ON COLUMN taxiway.watched_files.warehouse IS 'Where the month is, or would be, loaded: postgres or bigquery';
COMMENT ON COLUMN taxiway.watched_files.month IS 'First day of the month';
COMMENT ON COLUMN taxiway.watched_files.connection IS 'Airflow''s connection of the release that has the month';
COMMENT ON COLUMN taxiway.watched_files.url IS 'Address of the file; NULL: it was not asked for';
COMMENT ON COLUMN taxiway.watched_files.run_id IS 'The run of the DAG taxi that loads this version of the file';
COMMENT ON COLUMN taxiway.watched_files.bytes IS 'Size of the file, as the mirror says';
COMMENT ON COLUMN taxiway.watched_files.first_seen_at IS 'When a look first found the file there; NULL: none has';
COMMENT ON COLUMN taxiway.watched_files.decided_at IS 'Since when the decision has been the same';
COMMENT ON COLUMN taxiway.watched_files.checked_at IS 'The last look';
