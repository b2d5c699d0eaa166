-- Takes rows that were rejected out of the staging table.
-- Grain: the rejected rows.
-- Parameters: staging_table; bound: row_addresses (as text).
-- Twice: runs once, in the transaction that keeps the rejects.
DELETE FROM {{ staging_table }}
WHERE ctid = ANY(%(row_addresses)s::text[]::tid[])
