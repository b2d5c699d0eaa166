-- Finds ids that more than one row of the file has.
-- Grain: one row per id.
-- Parameters: rows_table; bound: most (how many to return at the most).
-- Twice: safe, it only reads.
-- In halves, so that two processes can sort one each.
SELECT duplicates.unique_row_id::text AS duplicate_id
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
) AS duplicates
ORDER BY duplicate_id
LIMIT %(most)s
