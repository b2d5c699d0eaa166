{%- from "bigquery/_row_text.sql" import row_text, row_id -%}
-- Counts the published rows of a month, and the rows that somebody has changed since. It finds them because a row's id
-- is the MD5 of its values.
-- Grain: one row: both counts, and the ids of five changed rows at the most, separated by commas.
-- Parameters: main_table (with its project and dataset), columns (those of the published file's layout), others (the
-- rest, which are NULL); bound: month, filename (of the month's unpacked file), other_filename (a name that is as good).
-- Twice: safe, it only reads.
-- Rows of the same text have the ids of their numbers, in no order: these are compared as sorted lists. Of such rows
-- all count as changed if one was. The month's partition is read once.
WITH published AS (
    SELECT
        unique_row_id,
        filename,
        {{ row_text(columns, typed=true) }} AS _row_text,
        TRUE
{%- for column in others %}
        AND `{{ column.name }}` IS NULL
{%- endfor %} AS _lacks_others
    FROM `{{ main_table }}`
    WHERE source_month = @month
),

numbered AS (
    SELECT
        unique_row_id,
        filename,
        _row_text,
        _lacks_others,
        ROW_NUMBER() OVER (PARTITION BY _row_text) AS _occurrence
    FROM published
),

identified AS (
    SELECT
        unique_row_id,
        filename,
        _row_text,
        _lacks_others,
        {{ row_id() }} AS expected_id
    FROM numbered
),

texts AS (
    SELECT
        COUNT(*) AS row_count,
        MIN(unique_row_id) AS example,
        LOGICAL_AND(filename IN (@filename, @other_filename) AND _lacks_others)
        AND STRING_AGG(unique_row_id, ',' ORDER BY unique_row_id)
        = STRING_AGG(expected_id, ',' ORDER BY expected_id) AS is_as_published
    FROM identified
    GROUP BY _row_text
),

placed AS (
    SELECT
        row_count,
        is_as_published,
        example,
        ROW_NUMBER() OVER (PARTITION BY is_as_published ORDER BY example) AS _place
    FROM texts
)

SELECT
    COALESCE(SUM(row_count), 0) AS row_count,
    COALESCE(SUM(IF(is_as_published, 0, row_count)), 0) AS changed_rows,
    STRING_AGG(IF(is_as_published OR _place > 5, NULL, example), ',' ORDER BY example) AS examples
FROM placed
