-- Finds the months of a source that are published, from which file, with how many rows, in which layout, and how large
-- its unpacked file is.
-- Grain: one row per month.
-- Parameters: dataset (with its project); bound: source, destination.
-- Twice: safe, it only reads.
SELECT
    month,
    sha256,
    row_count,
    layout,
    filename,
    rows_rejected,
    unpacked_bytes
FROM `{{ dataset }}.months`
WHERE source = @source AND destination = @destination AND published_at IS NOT NULL
ORDER BY month
