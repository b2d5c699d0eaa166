-- Inserts the rows of a month into its partition, which was attached empty.
-- Grain: one row per row of the file.
-- Parameters: rows_table, partition_name, columns.
-- Twice: runs once, in the transaction that attached the partition.
INSERT INTO public.{{ partition_name }} (
    unique_row_id,
    filename,
    source_month
{%- for column in columns %},
    {{ column.name | identifier }}
{%- endfor %}
)
SELECT
    unique_row_id,
    filename,
    source_month
{%- for column in columns %},
    {{ column.name | identifier }}
{%- endfor %}
FROM {{ rows_table }}
