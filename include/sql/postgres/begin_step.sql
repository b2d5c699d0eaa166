-- Enters that a step of an attempt is at work, and takes the lock that proves it: held as long as its session lives.
-- Grain: one row of the ledger, where the attempt hasn't ended.
-- The session has the name of the load from then on, for others who look what it does.
-- Parameters: bound: load_id, step, load_name, layout, row_id_version, yaml_sha256.
-- Twice: safe; end_step.sql lets go of one lock each. The lock is shared, so nobody ever waits for it.
SELECT SET_CONFIG('application_name', %(load_name)s, FALSE);

SELECT PG_ADVISORY_LOCK_SHARED(HASHTEXTEXTENDED('taxiway/load/' || %(load_id)s, 0));

UPDATE taxiway.loads
SET
    step = %(step)s,
    at_work_since = CLOCK_TIMESTAMP(),
    layout = %(layout)s,
    row_id_version = %(row_id_version)s,
    yaml_sha256 = %(yaml_sha256)s
WHERE load_id = %(load_id)s AND state = 'running'
