-- Finds ids that more than one row of the file has.
-- Grain: one row per id.
-- Parameters: rows_table; bound: most (how many to return at the most).
-- Twice: safe, it only reads.
-- In halves, so that two processes can sort one each.
SELECT repeated.unique_row_id::text AS repeated_id
FROM (
    SELECT unique_row_id
    FROM {{ rows_table }}
    WHERE unique_row_id < '80000000-0000-0000-0000-000000000000'
    GROUP BY unique_row_id
    HAVING COUNT(*) > 1
    UNION ALL
    SELECT unique_row_id
    FROM {{ rows_table }}
    WHERE unique_row_id >= '80000000-0000-0000-0000-000000000000'
    GROUP BY unique_row_id
    HAVING COUNT(*) > 1
) AS repeated
ORDER BY repeated_id
LIMIT %(most)s
