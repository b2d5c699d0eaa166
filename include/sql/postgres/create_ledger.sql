-- Creates Taxiway's own schemas, the ledger, the rejects and the view of the months.
-- Grain: the ledger has one row per attempt to load a month; the rejects one row per line that could not be read; the
-- view one row per source, destination and month.
-- Parameters: none.
-- Twice: safe, everything is created only if it is absent; the caller holds the lock on definitions.
-- CREATE SCHEMA IF NOT EXISTS would require the right to create schemas even if they exist.
DO $schemas$
BEGIN
    IF TO_REGNAMESPACE('taxiway') IS NULL THEN
        CREATE SCHEMA taxiway;
        COMMENT ON SCHEMA taxiway IS 'Taxiway: the ledger of every load, and what could not be read';
    END IF;
    IF TO_REGNAMESPACE('taxiway_staging') IS NULL THEN
        CREATE SCHEMA taxiway_staging;
        COMMENT ON SCHEMA taxiway_staging IS 'Taxiway: tables of runs under way; empty when nothing runs';
    END IF;
END
$schemas$;

CREATE TABLE IF NOT EXISTS taxiway.loads (
    load_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    source text NOT NULL,
    month date NOT NULL,
    destination text NOT NULL,
    run_id text NOT NULL,
    attempt integer NOT NULL CHECK (attempt > 0),
    try_number integer NOT NULL DEFAULT 1 CHECK (try_number > 0),
    fetched_load_id bigint,
    step text NOT NULL,
    state text NOT NULL CHECK (
        state IN ('running', 'published', 'unchanged', 'skipped', 'failed', 'abandoned')
    ),
    filename text NOT NULL,
    url text,
    etag text,
    last_modified text,
    bytes bigint,
    sha256 text,
    unpacked_bytes bigint,
    layout text,
    row_id_version integer,
    yaml_sha256 text,
    rows_read bigint,
    rows_rejected bigint,
    rows_staged bigint,
    rows_inserted bigint,
    rows_deleted bigint,
    rows_unchanged bigint,
    warnings text[] NOT NULL DEFAULT '{}',
    started_at timestamptz NOT NULL,
    at_work_since timestamptz,
    finished_at timestamptz,
    error text,
    partition_digest text,
    UNIQUE (source, month, destination, run_id, attempt),
    CHECK ((state = 'running') = (finished_at IS NULL))
);

-- A ledger of an earlier version gets what it lacks.
ALTER TABLE taxiway.loads ADD COLUMN IF NOT EXISTS try_number integer NOT NULL DEFAULT 1 CHECK (try_number > 0);
ALTER TABLE taxiway.loads ADD COLUMN IF NOT EXISTS fetched_load_id bigint;
ALTER TABLE taxiway.loads ADD COLUMN IF NOT EXISTS at_work_since timestamptz;
ALTER TABLE taxiway.loads ADD COLUMN IF NOT EXISTS partition_digest text;
ALTER TABLE taxiway.loads ADD COLUMN IF NOT EXISTS unpacked_bytes bigint;
ALTER TABLE taxiway.loads ADD COLUMN IF NOT EXISTS layout text;
ALTER TABLE taxiway.loads ADD COLUMN IF NOT EXISTS row_id_version integer;
ALTER TABLE taxiway.loads ADD COLUMN IF NOT EXISTS yaml_sha256 text;

COMMENT ON TABLE taxiway.loads IS 'The ledger: one row per attempt to load a month, from which file, and how it ended';
COMMENT ON COLUMN taxiway.loads.month IS 'First day of the month';
COMMENT ON COLUMN taxiway.loads.destination IS 'The warehouse: postgres';
COMMENT ON COLUMN taxiway.loads.run_id IS 'Airflow''s run id; of a run of the DAG taxi, "taxi" and its run id';
COMMENT ON COLUMN taxiway.loads.attempt IS 'Which attempt of the run: a step that is tried again begins another';
COMMENT ON COLUMN taxiway.loads.try_number IS 'Airflow''s try of the task that began the attempt';
COMMENT ON COLUMN taxiway.loads.fetched_load_id IS
'load_id of the attempt that fetched the file, if this one went on with it; NULL: this one itself';
COMMENT ON COLUMN taxiway.loads.step IS 'The last step that was begun';
COMMENT ON COLUMN taxiway.loads.state IS
'running; published; unchanged: the same bytes were published before; skipped: the month is not available; '
'failed; abandoned: the worker was killed';
COMMENT ON COLUMN taxiway.loads.bytes IS 'Size of the downloaded file';
COMMENT ON COLUMN taxiway.loads.sha256 IS 'SHA-256 of the downloaded file, 64 hexadecimal digits';
COMMENT ON COLUMN taxiway.loads.unpacked_bytes IS 'Size of the unpacked file';
COMMENT ON COLUMN taxiway.loads.layout IS
'Names the columns that the row ids are made from, with their types, in their order: the first 12 digits of a SHA-256';
COMMENT ON COLUMN taxiway.loads.row_id_version IS 'Version of the rules that the row ids are made by, see docs/row-identity.md';
COMMENT ON COLUMN taxiway.loads.yaml_sha256 IS
'SHA-256 of the source''s YAML file as the last step read it, 64 hexadecimal digits';
COMMENT ON COLUMN taxiway.loads.rows_read IS 'Rows in the file, without its header';
COMMENT ON COLUMN taxiway.loads.rows_rejected IS
'Rows of the file that could not be read: rows_read = rows_staged + rows_rejected';
COMMENT ON COLUMN taxiway.loads.rows_staged IS 'Rows of the file that could be read, all of them published';
COMMENT ON COLUMN taxiway.loads.rows_inserted IS 'Published rows that the month did not hold before';
COMMENT ON COLUMN taxiway.loads.rows_deleted IS 'Rows that the month held before and the file no longer has';
COMMENT ON COLUMN taxiway.loads.rows_unchanged IS 'Published rows that the month held before';
COMMENT ON COLUMN taxiway.loads.warnings IS
'Messages of the checks that warn, and how the main table differed from the ledger before the month was published again';
COMMENT ON COLUMN taxiway.loads.started_at IS 'When the attempt began; the first one with its run';
COMMENT ON COLUMN taxiway.loads.at_work_since IS 'When the step at work began; NULL between two steps, and at the end';
COMMENT ON COLUMN taxiway.loads.finished_at IS 'When the attempt ended';
COMMENT ON COLUMN taxiway.loads.partition_digest IS
'Of the month''s partition as it was published last: which transactions wrote how many of its rows';

CREATE TABLE IF NOT EXISTS taxiway.rejected_rows (
    load_id bigint NOT NULL REFERENCES taxiway.loads (load_id) ON DELETE CASCADE,
    source text NOT NULL,
    month date NOT NULL,
    line_number bigint NOT NULL,
    raw_line text NOT NULL,
    reason text NOT NULL,
    PRIMARY KEY (load_id, line_number)
);

COMMENT ON TABLE taxiway.rejected_rows IS 'Lines of a file that could not be read, and why';
COMMENT ON COLUMN taxiway.rejected_rows.load_id IS 'The attempt that rejected them, or the last one that went on with it';
COMMENT ON COLUMN taxiway.rejected_rows.line_number IS 'Line of the file; its header is line 1';
COMMENT ON COLUMN taxiway.rejected_rows.raw_line IS
'The line as it stands there; bytes that are no UTF-8 text, and NUL, as backslash escapes';

CREATE OR REPLACE VIEW taxiway.months AS
SELECT DISTINCT ON (loads.source, loads.destination, loads.month)
    loads.source,
    loads.destination,
    loads.month,
    loads.state AS last_state,
    loads.error AS last_error,
    loads.started_at AS last_started_at,
    published.filename,
    published.url,
    published.sha256,
    published.rows_staged AS row_count,
    published.rows_rejected,
    published.warnings,
    published.finished_at AS published_at,
    published.unpacked_bytes,
    published.layout,
    published.row_id_version,
    published.yaml_sha256
FROM taxiway.loads
LEFT JOIN LATERAL (
    SELECT
        earlier.filename,
        earlier.url,
        earlier.sha256,
        earlier.rows_staged,
        earlier.rows_rejected,
        earlier.warnings,
        earlier.finished_at,
        earlier.unpacked_bytes,
        earlier.layout,
        earlier.row_id_version,
        earlier.yaml_sha256
    FROM taxiway.loads AS earlier
    WHERE
        earlier.source = loads.source
        AND earlier.destination = loads.destination
        AND earlier.month = loads.month
        AND earlier.state = 'published'
    ORDER BY COALESCE(earlier.fetched_load_id, earlier.load_id) DESC, earlier.load_id DESC
    LIMIT 1
) AS published ON TRUE
ORDER BY loads.source, loads.destination, loads.month, loads.load_id DESC;

COMMENT ON VIEW taxiway.months IS
'What the ledger recorded of every month: how its last attempt ended, and which file was published last. Loads look at '
'the main table itself';
