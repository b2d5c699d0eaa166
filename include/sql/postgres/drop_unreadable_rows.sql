{%- from "postgres/_readable.sql" import unreadable -%}
-- Takes rows that were rejected out of the staging table.
-- Grain: the rejected rows.
-- Parameters: staging_table, columns, named (whether the rows' addresses are given; else every row is checked); bound:
-- row_addresses (as text).
-- Twice: runs once, in the transaction that keeps the rejects.
DELETE FROM {{ staging_table }}
{%- if named %}
WHERE ctid = ANY(%(row_addresses)s::text[]::tid[])
{%- else %}
WHERE
        {{ unreadable(columns) }}
{%- endif %}
