-- Asks for the value of an expression over the rows that are about to be published.
-- Grain: one row.
-- Parameters: rows_table, expression (an aggregate, from code, never from users).
-- Twice: safe, it only reads.
SELECT {{ expression }} AS value
FROM {{ rows_table }}
