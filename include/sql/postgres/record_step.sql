-- Records in the ledger what a step of an attempt found, or how the attempt ended.
-- Grain: one row of the ledger.
-- Parameters: columns (those of the ledger that the step knows); bound: load_id, state and the columns' values.
-- Twice: safe.
-- What has ended doesn't come back: a worker that was given up, and lives, may only still publish the month, or say
-- why it couldn't. And what has ended well stays so, whatever becomes of the step that ended it.
UPDATE taxiway.loads
SET
{%- for column in columns %}
    {{ column }} = %({{ column }})s,
{%- endfor %}
    at_work_since = CASE WHEN %(state)s = 'running' THEN at_work_since END,
    finished_at = CASE WHEN %(state)s = 'running' THEN finished_at ELSE CLOCK_TIMESTAMP() END,
    state = CASE WHEN %(state)s = 'running' THEN state ELSE %(state)s END
WHERE load_id = %(load_id)s AND state NOT IN ('published', 'unchanged', 'skipped')
