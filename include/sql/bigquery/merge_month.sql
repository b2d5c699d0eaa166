-- Makes a month of the main table equal to its file, in one statement. Rows that the file lacks are deleted, and new
-- rows are inserted. Rows whose values were changed by hand get the values of the file.
-- Grain: one row per row of the file; a row that is the same in both is not touched.
-- Parameters: main_table, rows_table (with their project and dataset), columns, month (YYYY-MM-DD, its first day).
-- Twice: safe, the second time nothing differs.
-- The month is written into the statement as a constant, on every way to the main table: BigQuery then reads and
-- changes that partition only.
MERGE `{{ main_table }}` AS published
USING `{{ rows_table }}` AS incoming
    ON
        published.source_month = DATE '{{ month }}'
        AND published.unique_row_id = incoming.unique_row_id
WHEN MATCHED AND (
    published.filename IS DISTINCT FROM incoming.filename
{%- for column in columns %}
    OR published.`{{ column.name }}` IS DISTINCT FROM incoming.`{{ column.name }}`
{%- endfor %}
) THEN
    UPDATE SET
        filename = incoming.filename
{%- for column in columns %},
        `{{ column.name }}` = incoming.`{{ column.name }}`
{%- endfor %}
WHEN NOT MATCHED BY TARGET THEN
    INSERT (
        unique_row_id,
        filename,
        source_month
{%- for column in columns %},
        `{{ column.name }}`
{%- endfor %}
    )
    VALUES (
        incoming.unique_row_id,
        incoming.filename,
        incoming.source_month
{%- for column in columns %},
        incoming.`{{ column.name }}`
{%- endfor %}
    )
WHEN NOT MATCHED BY SOURCE AND published.source_month = DATE '{{ month }}' THEN
    DELETE
