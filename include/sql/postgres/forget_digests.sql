-- Removes the digest from the ledger's earlier publications of a month: it describes a partition that has changed.
-- Grain: the rows of the ledger of one month.
-- Parameters: bound: source, month, destination.
-- Twice: safe. It runs in the transaction that publishes the month, under the month's lock.
UPDATE taxiway.loads
SET partition_digest = NULL
WHERE
    source = %(source)s
    AND month = %(month)s
    AND destination = %(destination)s
    AND partition_digest IS NOT NULL
