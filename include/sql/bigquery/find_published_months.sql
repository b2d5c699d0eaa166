-- Finds the months of a source that are published, from which file, with how many rows, in which layout, and how large
-- its unpacked file is.
-- Grain: one row per month.
-- Parameters: dataset (with its project), is_earlier (whether the ledger is version 0.1.0's, without layouts and these
-- sizes); bound: source, destination.
-- Twice: safe, it only reads.
SELECT
    month,
    sha256,
    row_count,
    {{ "CAST(NULL AS STRING)" if is_earlier else "layout" }} AS layout,
    filename,
    rows_rejected,
    {{ "CAST(NULL AS INT64)" if is_earlier else "unpacked_bytes" }} AS unpacked_bytes
FROM `{{ dataset }}.months`
WHERE source = @source AND destination = @destination AND published_at IS NOT NULL
ORDER BY month
