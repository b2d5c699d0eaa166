-- Finds the months of a source that are published, from which file, with how many rows, in which layout, and how large
-- its unpacked file is.
-- Grain: one row per month.
-- Parameters: bound: source, destination.
-- Twice: safe, it only reads.
SELECT
    month,
    sha256,
    row_count,
    layout,
    filename,
    rows_rejected,
    unpacked_bytes
FROM taxiway.months
WHERE source = %(source)s AND destination = %(destination)s AND published_at IS NOT NULL
ORDER BY month
