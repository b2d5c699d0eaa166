{%- from "bigquery/_types.sql" import type_of -%}
-- Adds columns that a source has gained to its main table. No row is written: the columns are NULL.
-- Grain: the main table.
-- Parameters: main_table (with its project and dataset), columns (those that are added).
-- Twice: safe, a column that is there stays as it is.
ALTER TABLE `{{ main_table }}`
{%- for column in columns %}
ADD COLUMN IF NOT EXISTS `{{ column.name }}` {{ type_of(column) }} OPTIONS (description = {{ column.description | quoted }}){{ "," if not loop.last }}
{%- endfor %}
