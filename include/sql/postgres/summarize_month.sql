-- Writes the summary of a published month anew.
-- Grain: one row per day of pickup, pickup zone and payment type of the month.
-- Parameters: main_table, parts (names of columns by what they are to the report, none if the source lacks it),
-- with_zones (whether taxi_zone_lookup is loaded); bound: source, month.
-- Twice: safe, the month's rows are replaced; the caller holds the summary's lock until the transaction ends.
-- The file's SHA-256 and the rows are of one moment, because one statement reads both.
-- A zone that the lookup has twice still counts once.
DELETE FROM public.monthly_zone_summary
WHERE source = %(source)s AND source_month = %(month)s::date;

INSERT INTO public.monthly_zone_summary (
    source, source_month, pickup_date, pickup_zone, zone, borough, payment_type, trips, revenue, distance, tips, sha256
)
WITH trips AS (
    SELECT
        {{ parts["pickup_time"] | identifier }}::date AS pickup_date
{%- for part, type_name in (
    ("pickup_zone", "integer"),
    ("payment_type", "integer"),
    ("revenue", "numeric"),
    ("distance", "numeric"),
    ("tips", "numeric"),
) %},
        {% if parts[part] %}{{ parts[part] | identifier }}{% else %}NULL::{{ type_name }}{% endif %} AS {{ part }}
{%- endfor %}
    FROM public.{{ main_table }}
    WHERE source_month = %(month)s::date
),

{% if with_zones -%}
zones AS (
    SELECT DISTINCT ON (locationid)
        locationid,
        zone,
        borough
    FROM public.taxi_zone_lookup
    ORDER BY locationid, unique_row_id
),

{% endif -%}
summed AS (
    SELECT
        pickup_date,
        pickup_zone,
        payment_type,
        COUNT(*) AS trips,
        SUM(revenue) AS revenue,
        SUM(distance) AS distance,
        SUM(tips) AS tips
    FROM trips
    GROUP BY pickup_date, pickup_zone, payment_type
)

SELECT
    %(source)s AS source,
    %(month)s::date AS source_month,
    summed.pickup_date,
    summed.pickup_zone,
    {{ "zones.zone" if with_zones else "NULL AS zone" }},
    {{ "zones.borough" if with_zones else "NULL AS borough" }},
    summed.payment_type,
    summed.trips,
    summed.revenue,
    summed.distance,
    summed.tips,
    (
        SELECT months.sha256
        FROM taxiway.months
        WHERE months.source = %(source)s AND months.destination = 'postgres' AND months.month = %(month)s::date
    ) AS sha256
FROM summed
{%- if with_zones %}
LEFT JOIN zones ON summed.pickup_zone = zones.locationid
{%- endif %}
