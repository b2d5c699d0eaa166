-- Records in the ledger what a step of an attempt found, or how the attempt ended.
-- Grain: one row of the ledger.
-- Parameters: columns (those of the ledger that the step knows); bound: load_id, state and the columns' values.
-- Twice: safe.
UPDATE taxiway.loads
SET
{%- for column in columns %}
    {{ column }} = %({{ column }})s,
{%- endfor %}
    finished_at = CASE WHEN %(state)s <> 'running' THEN CLOCK_TIMESTAMP() END,
    state = %(state)s
WHERE load_id = %(load_id)s
