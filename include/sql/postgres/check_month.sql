{%- import "postgres/_measures.sql" as measures -%}
-- Counts the rows that are about to be published, to check the month's balance, and the rows that break a constraint of
-- the main table. Takes the measures of the source's checks.
-- Grain: one row.
-- Parameters: rows_table, checks (of columns), broken (conditions, each true of a row that
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
