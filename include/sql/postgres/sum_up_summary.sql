-- Sums up the summaries of a source's months, for a report.
-- Grain: one row per value of the columns that are asked for, in their order; without any, one row.
-- Parameters: groups (columns of the summary); bound: source, first, last (first days of months).
-- Twice: safe, it only reads.
SELECT
{%- for column in groups %}
    {{ column | identifier }},
{%- endfor %}
    COALESCE(SUM(trips), 0)::bigint AS trips,
    SUM(revenue) AS revenue,
    SUM(distance) AS distance,
    SUM(tips) AS tips
FROM public.monthly_zone_summary
WHERE source = %(source)s AND source_month BETWEEN %(first)s::date AND %(last)s::date
{%- if groups %}
GROUP BY {% for column in groups %}{{ column | identifier }}{{ ", " if not loop.last }}{% endfor %}
ORDER BY {% for column in groups %}{{ column | identifier }}{{ ", " if not loop.last }}{% endfor %}
{%- endif %}
