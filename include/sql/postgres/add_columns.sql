-- Adds columns that a source has gained to its main table, and with it to every partition. No row is written: the columns
-- are NULL, which the catalog alone knows. What refers to the table stays.
-- Grain: the main table.
-- Parameters: main_table, columns (those that are added).
-- Twice: safe, a column that is there stays as it is.
ALTER TABLE public.{{ main_table }}
{%- for column in columns %}
ADD COLUMN IF NOT EXISTS {{ column.name | identifier }} {{ column.type }}{{ "," if not loop.last else ";" }}
{%- endfor %}
{% for column in columns %}
COMMENT ON COLUMN public.{{ main_table }}.{{ column.name | identifier }}
IS {{ column.description | literal }};
{%- endfor %}
