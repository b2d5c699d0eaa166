-- Finds the first month for which the ledger has the name of a downloaded file, as version 0.1.0 recorded it.
-- Grain: one row: the month, or NULL if there is none.
-- Parameters: dataset (with its project); bound: source, destination.
-- Twice: safe, it only reads.
-- The ledger is small. To look for the names in the main table would read a column of all its months.
SELECT MIN(month) AS month
FROM `{{ dataset }}.load_events`
WHERE source = @source AND destination = @destination AND ENDS_WITH(filename, '.csv.gz')
