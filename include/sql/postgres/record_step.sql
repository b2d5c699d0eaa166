-- Records in the ledger that a step of a load is done, or that the load failed.
-- Grain: one row of the ledger; a month that is published stays so.
-- Parameters: columns (those of the ledger that the step knows); bound: state, the columns' values, and the
-- load's key: source, month, destination, run_id.
-- Twice: safe.
UPDATE taxiway.loads
SET
{%- for column in columns %}
    {{ column }} = %({{ column }})s,
{%- endfor %}
    finished_at = CASE WHEN %(state)s IN ('published', 'failed') THEN CLOCK_TIMESTAMP() END,
    state = %(state)s
WHERE
    source = %(source)s
    AND month = %(month)s
    AND destination = %(destination)s
    AND run_id = %(run_id)s
    AND state <> 'published'
