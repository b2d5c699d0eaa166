-- Finds other runs of a month that are over, or began so long ago that they can't go on.
-- Grain: one row per run.
-- Parameters: bound: source, month, destination, run_id (the run that asks), hours.
-- Twice: safe, it only reads.
SELECT loads.run_id
FROM taxiway.loads
WHERE
    loads.source = %(source)s
    AND loads.month = %(month)s
    AND loads.destination = %(destination)s
    AND loads.run_id <> %(run_id)s
GROUP BY loads.run_id
HAVING
    BOOL_AND(loads.state <> 'running' OR loads.started_at < CLOCK_TIMESTAMP() - MAKE_INTERVAL(hours => %(hours)s))
