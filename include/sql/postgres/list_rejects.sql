-- Lists the lines that were rejected by the last attempt of a month that has read its file.
-- Grain: one row per rejected line that is kept; if none is, one row without a line. No row if no attempt has read a file.
-- Parameters: bound: source, month, destination.
-- Twice: safe, it only reads.
-- An unchanged attempt has read nothing: what the published one has rejected still holds.
WITH attempt AS (
    SELECT
        load_id,
        state,
        sha256,
        rows_read,
        rows_rejected
    FROM taxiway.loads
    WHERE
        source = %(source)s
        AND month = %(month)s
        AND destination = %(destination)s
        AND state <> 'unchanged'
        AND rows_rejected IS NOT NULL
    ORDER BY load_id DESC
    LIMIT 1
)

SELECT
    attempt.state,
    attempt.sha256,
    attempt.rows_read,
    attempt.rows_rejected,
    rejected.line_number,
    rejected.reason,
    rejected.raw_line
FROM attempt
LEFT JOIN taxiway.rejected_rows AS rejected ON attempt.load_id = rejected.load_id
ORDER BY rejected.line_number
