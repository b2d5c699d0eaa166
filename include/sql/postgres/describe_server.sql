-- Describes the server: what can lose data, whether it can be written to, how many sessions it has.
-- Grain: one row.
-- Parameters: none.
-- Twice: safe, it only reads.
SELECT
    CURRENT_SETTING('fsync') AS fsync,
    CURRENT_SETTING('full_page_writes') AS full_page_writes,
    CURRENT_SETTING('synchronous_commit') AS synchronous_commit,
    PG_IS_IN_RECOVERY() AS is_standby,
    CURRENT_SETTING('default_transaction_read_only') = 'on' AS reads_only,
    (SELECT SUM(databases.numbackends)::integer FROM pg_catalog.pg_stat_database AS databases) AS sessions,
    CURRENT_SETTING('max_connections')::integer
    - CURRENT_SETTING('superuser_reserved_connections')::integer
    - CURRENT_SETTING('reserved_connections')::integer AS most_sessions
