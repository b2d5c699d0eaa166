{%- import "postgres/_measures.sql" as measures -%}
-- Counts what is about to be published, for the month's balance, measures what the source's checks ask for, and counts
-- the rows that break a constraint of the main table.
-- Grain: one row.
-- Parameters: rows_table, checks (those that are measured on a column), broken (conditions, each true of a row that
-- breaks a constraint); bound: filename, first_day (of the month), next_first_day.
-- Twice: safe, it only reads.
-- A share is of all rows.
SELECT
    COUNT(*) AS row_count,
    COUNT(*) FILTER (WHERE filename = %(filename)s AND source_month = %(first_day)s::date) AS file_row_count
{%- for check in checks %},
    COUNT(*) FILTER (
        WHERE
        {{ measures[check.measure](check) }}
    )::double precision / NULLIF(COUNT(*), 0) AS {{ check.name | identifier }}
{%- endfor %}
{%- for is_broken in broken %},
    COUNT(*) FILTER (WHERE {{ is_broken }}) AS broken_{{ loop.index }}
{%- endfor %}
FROM {{ rows_table }}
