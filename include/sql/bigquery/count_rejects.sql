-- Counts the rejected lines of attempts.
-- Grain: one row.
-- Parameters: dataset (with its project); bound: load_ids (an array).
-- Twice: safe, it only reads.
SELECT COUNT(*) AS row_count
FROM `{{ dataset }}.rejected_rows`
WHERE load_id IN UNNEST(@load_ids)
