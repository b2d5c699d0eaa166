-- Records in the ledger what a step of an attempt found, or how the attempt ended.
-- Grain: one row of the ledger.
-- Parameters: columns (the ledger's columns that the step knows); bound: load_id, state, error and the columns' values.
-- Twice: safe.
-- A finished attempt is never reopened. A worker that was taken for dead, but lives, may only publish the month, or
-- record why it couldn't. If an attempt ended well, an error of its last step doesn't change that. A published attempt
-- gets the error and stays published; a try that succeeds clears the error.
{%- if "error" in columns %}
UPDATE taxiway.loads
SET error = %(error)s
WHERE load_id = %(load_id)s AND state = 'published';
{%- endif %}

UPDATE taxiway.loads
SET
{%- for column in columns %}
    {{ column }} = %({{ column }})s,
{%- endfor %}
    at_work_since = CASE WHEN %(state)s = 'running' THEN at_work_since END,
    finished_at = CASE WHEN %(state)s = 'running' THEN finished_at ELSE CLOCK_TIMESTAMP() END,
    state = CASE WHEN %(state)s = 'running' THEN state ELSE %(state)s END
WHERE load_id = %(load_id)s AND state NOT IN ('published', 'unchanged', 'skipped')
