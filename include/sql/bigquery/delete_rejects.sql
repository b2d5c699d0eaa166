-- Deletes the rejected lines of attempts.
-- Grain: one row per line.
-- Parameters: dataset (with its project); bound: load_ids (an array).
-- Twice: safe, what is gone stays gone.
DELETE FROM `{{ dataset }}.rejected_rows`
WHERE load_id IN UNNEST(@load_ids)
