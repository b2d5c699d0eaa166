-- Deletes the events of attempts that ended long ago from the ledger.
-- Grain: one row per event.
-- Parameters: dataset (with its project); bound: load_ids (an array).
-- Twice: safe, what is gone stays gone.
DELETE FROM `{{ dataset }}.load_events`
WHERE load_id IN UNNEST(@load_ids)
