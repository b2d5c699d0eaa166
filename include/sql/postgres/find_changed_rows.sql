{%- from "postgres/_row_text.sql" import row_text -%}
-- Counts the published rows of a month, and the rows that somebody has changed since. It finds them because a row's id
-- is the MD5 of its values.
-- Grain: one row: both counts, and the ids of five changed rows at the most.
-- Parameters: main_table, columns (those of the published file's layout), others (the rest, which are NULL); bound:
-- month, filename (of the month's file).
-- Twice: safe, it only reads.
-- Rows of the same text have the ids of their numbers, in no order: these are compared as sorted lists. Of such rows
-- all count as changed if one was.
WITH published AS (
    SELECT
        unique_row_id,
        filename = %(filename)s
{%- for column in others %}
        AND {{ column.name | identifier }} IS NULL
{%- endfor %} AS _is_of_file,
        {{ row_text(columns) }} AS _row_text
    FROM public.{{ main_table }}
    WHERE source_month = %(month)s
),

numbered AS (
    SELECT
        unique_row_id,
        _is_of_file,
        _row_text,
        ROW_NUMBER() OVER (PARTITION BY _row_text) AS _occurrence
    FROM published
),

identified AS (
    SELECT
        unique_row_id,
        _is_of_file,
        _row_text,
        MD5(
            CASE WHEN _occurrence = 1 THEN _row_text ELSE _row_text || E'\x1F' || _occurrence::text END
        )::uuid AS expected_id
    FROM numbered
),

texts AS (
    SELECT
        COUNT(*) AS row_count,
        MIN(unique_row_id::text) AS example,
        BOOL_AND(_is_of_file)
        AND ARRAY_AGG(unique_row_id ORDER BY unique_row_id) = ARRAY_AGG(expected_id ORDER BY expected_id)
            AS is_as_published
    FROM identified
    GROUP BY _row_text
)

SELECT
    COALESCE(SUM(row_count), 0)::bigint AS row_count,
    COALESCE(SUM(row_count) FILTER (WHERE is_as_published IS NOT TRUE), 0)::bigint AS changed_rows,
    (ARRAY_AGG(REPLACE(example, '-', '') ORDER BY example) FILTER (WHERE is_as_published IS NOT TRUE))[1:5] AS examples
FROM texts
