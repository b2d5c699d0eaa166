-- Lists how the last attempt of each month of a source ended, and what is published.
-- Grain: one row per month that somebody has tried to load.
-- Parameters: bound: source, destination.
-- Twice: safe, it only reads.
SELECT
    month,
    last_state,
    last_error,
    row_count,
    rows_rejected,
    warnings,
    published_at
FROM taxiway.months
WHERE source = %(source)s AND destination = %(destination)s
ORDER BY month
