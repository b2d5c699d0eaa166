-- Creates Taxiway's own schemas and the ledger, one row for each load of a month.
-- Grain: one row per source, month and Airflow run.
-- Parameters: none.
-- Twice: safe, everything is created only where it is absent; the caller holds the lock on definitions.
CREATE SCHEMA IF NOT EXISTS taxiway;
COMMENT ON SCHEMA taxiway IS 'Taxiway: the ledger of every load';

CREATE SCHEMA IF NOT EXISTS taxiway_staging;
COMMENT ON SCHEMA taxiway_staging IS 'Taxiway: tables of runs under way; empty when nothing runs';

CREATE TABLE IF NOT EXISTS taxiway.loads (
    load_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    source text NOT NULL,
    month date NOT NULL,
    destination text NOT NULL,
    run_id text NOT NULL,
    state text NOT NULL CHECK (state IN ('staging', 'staged', 'hashed', 'checked', 'published', 'failed')),
    filename text NOT NULL,
    url text NOT NULL,
    etag text,
    last_modified text,
    bytes bigint NOT NULL,
    sha256 text NOT NULL,
    rows_read bigint,
    rows_rejected bigint,
    rows_staged bigint,
    rows_inserted bigint,
    rows_deleted bigint,
    rows_unchanged bigint,
    started_at timestamptz NOT NULL,
    finished_at timestamptz,
    error text,
    UNIQUE (source, month, destination, run_id)
);

COMMENT ON TABLE taxiway.loads IS 'The ledger: what was loaded, from which file, when, and how it ended';
COMMENT ON COLUMN taxiway.loads.month IS 'First day of the month';
COMMENT ON COLUMN taxiway.loads.run_id IS 'Airflow''s run id';
COMMENT ON COLUMN taxiway.loads.state IS 'The last step that was reached; published is the end';
COMMENT ON COLUMN taxiway.loads.bytes IS 'Size of the downloaded file';
COMMENT ON COLUMN taxiway.loads.sha256 IS 'SHA-256 of the downloaded file, 64 hexadecimal digits';
COMMENT ON COLUMN taxiway.loads.rows_read IS 'Rows in the file, without its header';
COMMENT ON COLUMN taxiway.loads.rows_rejected IS 'Rows of the file that could not be read: rows_read = rows_staged + rows_rejected';
COMMENT ON COLUMN taxiway.loads.rows_staged IS 'Rows of the file that could be read, all of them published';
COMMENT ON COLUMN taxiway.loads.rows_inserted IS 'Published rows that the month did not hold before';
COMMENT ON COLUMN taxiway.loads.rows_deleted IS 'Rows that the month held before and the file no longer has';
COMMENT ON COLUMN taxiway.loads.rows_unchanged IS 'Published rows that the month held before';
COMMENT ON COLUMN taxiway.loads.started_at IS 'When the run that loads the month began';
COMMENT ON COLUMN taxiway.loads.finished_at IS 'When the month was published, or the run failed';
