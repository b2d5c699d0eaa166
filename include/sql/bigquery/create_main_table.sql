{%- from "bigquery/_types.sql" import type_of -%}
-- Creates a source's main table, partitioned by the month that its rows were loaded for, clustered by pickup.
-- Grain: one row per row of a source file; unique_row_id is unique within a month, its partition.
-- Parameters: main_table (with its project and dataset), columns, title, cluster_by (from the source's YAML; a name
-- or none).
-- Twice: safe, an existing table stays as it is.
-- The label says that filename is the unpacked file's name: a table of version 0.1.0 has neither.
CREATE TABLE IF NOT EXISTS `{{ main_table }}` (
    unique_row_id STRING NOT NULL OPTIONS (description = 'Identity of the row within its file: MD5 of its values, see docs/row-identity.md'),
    filename STRING NOT NULL OPTIONS (description = 'Name of the unpacked file that the row comes from'),
    source_month DATE NOT NULL OPTIONS (description = 'First day of the month of the file that the row comes from, one partition each')
{%- for column in columns %},
    `{{ column.name }}` {{ type_of(column) }} OPTIONS (description = {{ column.description | quoted }})
{%- endfor %}
)
PARTITION BY DATE_TRUNC(source_month, MONTH)
{%- if cluster_by %}
CLUSTER BY `{{ cluster_by }}`
{%- endif %}
OPTIONS (description = {{ title | quoted }}, labels = [('taxiway_filename', 'unpacked')])
