-- Finds the months of a source in the ledger: whether it has the name of a downloaded file for them, as version 0.1.0
-- recorded it, and whether it has a publication of theirs.
-- Grain: one row per month of the ledger.
-- Parameters: dataset (with its project); bound: source, destination.
-- Twice: safe, it only reads.
-- The ledger is small. To look for the names in the main table would read a column of all its months.
SELECT
    month,
    LOGICAL_OR(ENDS_WITH(filename, '.csv.gz')) AS is_earlier,
    LOGICAL_OR(state = 'published') AS is_published
FROM `{{ dataset }}.load_events`
WHERE source = @source AND destination = @destination
GROUP BY month
ORDER BY month
