-- Creates the ledger, the rejects and the views of the attempts and of the months.
-- Grain: load_events has one row per recorded event of an attempt, loads one per attempt to load a month, rejected_rows
-- one per line that could not be read, months one per source, destination and month.
-- Parameters: dataset (with its project).
-- Twice: safe, tables are created only if they are absent, and the views are replaced by the same views.
-- Numbers, not times, tell which event is the last: a clock may go back between two attempts.
-- BigQuery changes rows slowly and in a queue, but adds them quickly and side by side: so loads only add events.
CREATE TABLE IF NOT EXISTS `{{ dataset }}.load_events` (
    load_id STRING NOT NULL OPTIONS (description = 'The attempt'),
    load_number INT64 NOT NULL OPTIONS (description = 'Which attempt of the month it is, from 1, whatever clocks say; two that began at the same moment may share one'),
    source STRING NOT NULL,
    month DATE NOT NULL OPTIONS (description = 'First day of the month'),
    destination STRING NOT NULL OPTIONS (description = 'The warehouse: bigquery'),
    run_id STRING NOT NULL OPTIONS (description = 'The run id of Airflow; of a run of the DAG taxi, "taxi" and its run id'),
    attempt INT64 NOT NULL OPTIONS (description = 'Which attempt of the run: a step that is tried again begins another'),
    try_number INT64 NOT NULL OPTIONS (description = 'Which try of its task of Airflow began the attempt'),
    fetched_load_id STRING OPTIONS (description = 'load_id of the attempt that fetched the file, if this one went on with it; NULL: this one itself'),
    step STRING NOT NULL OPTIONS (description = 'The step that the event belongs to'),
    state STRING NOT NULL OPTIONS (description = 'running; published; unchanged: the same bytes were published before; skipped: the month is not available; failed; abandoned: the worker was killed'),
    filename STRING NOT NULL,
    url STRING,
    etag STRING,
    last_modified STRING,
    bytes INT64 OPTIONS (description = 'Size of the downloaded file'),
    sha256 STRING OPTIONS (description = 'SHA-256 of the downloaded file, 64 hexadecimal digits'),
    unpacked_bytes INT64 OPTIONS (description = 'Size of the unpacked file'),
    layout STRING OPTIONS (description = 'Names the columns that the row ids are made from, with their types, in their order: the first 12 digits of a SHA-256'),
    row_id_version INT64 OPTIONS (description = 'Version of the rules that the row ids are made by, see docs/row-identity.md'),
    yaml_sha256 STRING OPTIONS (description = 'SHA-256 of the YAML file of the source as the last step read it, 64 hexadecimal digits'),
    rows_read INT64 OPTIONS (description = 'Rows in the file, without its header'),
    rows_rejected INT64 OPTIONS (description = 'Rows of the file that could not be read: rows_read = rows_staged + rows_rejected'),
    rows_staged INT64 OPTIONS (description = 'Rows of the file that could be read, all of them published'),
    rows_inserted INT64 OPTIONS (description = 'Published rows that the month did not hold before'),
    rows_deleted INT64 OPTIONS (description = 'Rows that the month held before and the file no longer has'),
    rows_unchanged INT64 OPTIONS (description = 'Published rows that the month held before'),
    publication INT64 OPTIONS (description = 'Which publication of the month it was, from 1, also if it failed, or found the month published: the last published one is what the table holds'),
    warnings ARRAY<STRING> OPTIONS (description = 'Messages of the checks that warn'),
    started_at TIMESTAMP NOT NULL OPTIONS (description = 'When the attempt began; the first one with its run'),
    finished_at TIMESTAMP OPTIONS (description = 'When the attempt ended'),
    error STRING,
    recorded_at TIMESTAMP NOT NULL OPTIONS (description = 'When the event was recorded')
)
CLUSTER BY source, month
OPTIONS (description = 'Taxiway: what became of every attempt to load a month; the view loads has one row per attempt');

-- A ledger of an earlier version gets what it lacks.
ALTER TABLE `{{ dataset }}.load_events`
ADD COLUMN IF NOT EXISTS unpacked_bytes INT64,
ADD COLUMN IF NOT EXISTS layout STRING,
ADD COLUMN IF NOT EXISTS row_id_version INT64,
ADD COLUMN IF NOT EXISTS yaml_sha256 STRING;

CREATE TABLE IF NOT EXISTS `{{ dataset }}.rejected_rows` (
    load_id STRING NOT NULL OPTIONS (description = 'The attempt that rejected the line, or goes on with what an earlier one of its run rejected'),
    source STRING NOT NULL,
    month DATE NOT NULL,
    line_number INT64 NOT NULL OPTIONS (description = 'Line of the file; its header is line 1'),
    raw_line STRING NOT NULL OPTIONS (description = 'The line as it stands there; bytes that are no UTF-8 text, and NUL, as backslash escapes'),
    reason STRING NOT NULL
)
CLUSTER BY source, month
OPTIONS (description = 'Taxiway: lines of a file that could not be read, and why');

CREATE OR REPLACE VIEW `{{ dataset }}.loads`
OPTIONS (description = 'The ledger: one row per attempt to load a month, from which file, and how it ended')
AS
SELECT
    load_id,
    load_number,
    source,
    month,
    destination,
    run_id,
    attempt,
    try_number,
    fetched_load_id,
    step,
    state,
    filename,
    url,
    etag,
    last_modified,
    bytes,
    sha256,
    unpacked_bytes,
    layout,
    row_id_version,
    yaml_sha256,
    rows_read,
    rows_rejected,
    rows_staged,
    rows_inserted,
    rows_deleted,
    rows_unchanged,
    publication,
    warnings,
    started_at,
    finished_at,
    error
FROM `{{ dataset }}.load_events`
WHERE TRUE
QUALIFY
    ROW_NUMBER() OVER (
        PARTITION BY load_id
        ORDER BY IF(state = 'published', 2, IF(state = 'running', 0, 1)) DESC, recorded_at DESC
    ) = 1;

CREATE OR REPLACE VIEW `{{ dataset }}.months`
OPTIONS (description = 'The state of every month: how its last attempt ended, and which file its published rows come from')
AS
WITH last_attempts AS (
    SELECT
        source,
        destination,
        month,
        state,
        error,
        started_at
    FROM `{{ dataset }}.loads`
    WHERE TRUE
    QUALIFY ROW_NUMBER() OVER (PARTITION BY source, destination, month ORDER BY load_number DESC, load_id DESC) = 1
),

published AS (
    SELECT
        source,
        destination,
        month,
        filename,
        url,
        sha256,
        unpacked_bytes,
        layout,
        row_id_version,
        yaml_sha256,
        rows_staged,
        rows_rejected,
        warnings,
        finished_at
    FROM `{{ dataset }}.loads`
    WHERE state = 'published'
    QUALIFY ROW_NUMBER() OVER (PARTITION BY source, destination, month ORDER BY publication DESC, load_number DESC) = 1
)

SELECT
    last_attempts.source,
    last_attempts.destination,
    last_attempts.month,
    last_attempts.state AS last_state,
    last_attempts.error AS last_error,
    last_attempts.started_at AS last_started_at,
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
FROM last_attempts
LEFT JOIN published
    ON
        last_attempts.source = published.source
        AND last_attempts.destination = published.destination
        AND last_attempts.month = published.month;
