{#-
  Macros for advisory locks that sessions hold, and what they tell of attempts.

  held_locks()             the locks of this database, as a subquery with pid and lock_key, which pg_locks has in halves
  is_abandoned(attempts)   whether nobody works on a running attempt, a row of the ledger; binds longest_run, the age at
                           which one is over, an interval

  A step at work holds a lock as long as its session lives (begin_step.sql). If the lock is free, the worker is gone.
  Between two steps no session holds the lock; then only the age of the attempt counts.
-#}
{%- macro held_locks() -%}
(
    SELECT
        locks.pid,
        locks.classid::bigint << 32 | locks.objid::bigint AS lock_key
    FROM pg_catalog.pg_locks AS locks
    WHERE
        locks.locktype = 'advisory'
        AND locks.granted
        AND locks.database = (
            SELECT oid FROM pg_catalog.pg_database
            WHERE datname = CURRENT_DATABASE()
        )
        AND locks.objsubid = 1
)
{%- endmacro -%}

{%- macro is_abandoned(attempts) -%}
(
    GREATEST({{ attempts }}.started_at, {{ attempts }}.at_work_since) < CLOCK_TIMESTAMP() - %(longest_run)s::interval
    OR (
        {{ attempts }}.at_work_since IS NOT NULL
        AND HASHTEXTEXTENDED('taxiway/load/' || {{ attempts }}.load_id, 0) NOT IN (
            SELECT held.lock_key FROM {{ held_locks() }} AS held
        )
    )
)
{%- endmacro -%}
