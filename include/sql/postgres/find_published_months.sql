-- Finds the months of a source that are published, from which file, with how many rows, in which layout, and how large
-- its unpacked file is.
-- Grain: one row per month.
-- Parameters: is_earlier (whether the ledger is version 0.1.0's, without layouts and these sizes); bound: source, destination.
-- Twice: safe, it only reads.
SELECT
    month,
    sha256,
    row_count,
    {{ "NULL::text" if is_earlier else "layout" }} AS layout,
    filename,
    rows_rejected,
    {{ "NULL::bigint" if is_earlier else "unpacked_bytes" }} AS unpacked_bytes
FROM taxiway.months
WHERE source = %(source)s AND destination = %(destination)s AND published_at IS NOT NULL
ORDER BY month
