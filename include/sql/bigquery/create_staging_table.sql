-- Creates the staging table of one run, empty: the fields of the file as text, in the order of the file.
-- Grain: one row per row of the file.
-- Parameters: staging_table (with its project and dataset), file_columns (the source's columns in the order of this
-- file).
-- Twice: safe, what an earlier attempt of the same run left is replaced.
-- A run that is cut off can't drop its table: BigQuery deletes it after a day.
CREATE OR REPLACE TABLE `{{ staging_table }}` (
{%- for column in file_columns %}
    `{{ column.name }}` STRING{{ "," if not loop.last }}
{%- endfor %}
)
OPTIONS (expiration_timestamp = TIMESTAMP_ADD(CURRENT_TIMESTAMP(), INTERVAL 24 HOUR))
