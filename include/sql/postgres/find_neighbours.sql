-- Finds how many rows the published months next to a month have.
-- Grain: one row per neighbour that is published, two at the most.
-- Parameters: bound: source, destination, month_before, month_after.
-- Twice: safe, it only reads.
SELECT months.row_count
FROM taxiway.months AS months
WHERE
    months.source = %(source)s
    AND months.destination = %(destination)s
    AND months.month IN (%(month_before)s::date, %(month_after)s::date)
    AND months.row_count IS NOT NULL
