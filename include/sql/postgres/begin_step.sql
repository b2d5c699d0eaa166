-- Records that a step of an attempt is at work, and takes the lock that proves it: held as long as its session lives.
-- Grain: one row of the ledger, if the attempt hasn't ended.
-- The session's application_name is the load's name from then on, so that people can see what the session does.
-- Parameters: bound: load_id, step, load_name, layout, row_id_version, yaml_sha256.
-- Twice: safe; each end_step.sql releases one lock. The lock is shared, so no session ever waits for it.
SELECT SET_CONFIG('application_name', %(load_name)s, FALSE);

SELECT PG_ADVISORY_LOCK_SHARED(HASHTEXTEXTENDED('taxiway/load/' || %(load_id)s, 0));

UPDATE taxiway.loads
SET
    step = %(step)s,
    at_work_since = CLOCK_TIMESTAMP(),
    layout = COALESCE(layout, %(layout)s),
    row_id_version = %(row_id_version)s,
    yaml_sha256 = %(yaml_sha256)s
WHERE load_id = %(load_id)s AND state = 'running'
