-- Creates a source's main table, partitioned by the month of the file that its rows come from.
-- Grain: one row per row of a source file; unique_row_id is unique within a month, its partition.
-- Parameters: main_table, columns, title (from the source's YAML).
-- Twice: safe, an existing table stays as it is.
CREATE TABLE IF NOT EXISTS public.{{ main_table }} (
    unique_row_id uuid NOT NULL,
    filename text NOT NULL,
    source_month date NOT NULL
{%- for column in columns %},
    {{ column.name | identifier }} {{ column.type }}
{%- endfor %}
) PARTITION BY LIST (source_month);

COMMENT ON TABLE public.{{ main_table }} IS {{ title | literal }};
COMMENT ON COLUMN public.{{ main_table }}.unique_row_id
IS 'Identity of the row within its file: MD5 of its values, see docs/row-identity.md';
COMMENT ON COLUMN public.{{ main_table }}.filename
IS 'Name of the unpacked file that the row comes from';
COMMENT ON COLUMN public.{{ main_table }}.source_month
IS 'First day of the month of the file that the row comes from, one partition each';
{%- for column in columns %}
COMMENT ON COLUMN public.{{ main_table }}.{{ column.name | identifier }}
IS {{ column.description | literal }};
{%- endfor %}
