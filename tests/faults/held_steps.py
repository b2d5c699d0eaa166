"""Holds a step of a load in the middle of its transaction, until the test lets it go.

An event trigger in the warehouse waits for an advisory lock, for as long as it takes, behind every
definition that a step makes: in the staging step behind the staging table, in the hashing step
behind the typed rows, in the merge behind each change of the partition. The test holds that lock.

The step ``COPY`` is the staging step among its rows: a trigger of the staging table waits for the lock of that name.
"""

from __future__ import annotations

from typing import Any

import psycopg

INSTALL = r"""
CREATE SCHEMA faults;

CREATE FUNCTION faults.key(step text, month text) RETURNS bigint LANGUAGE sql IMMUTABLE
AS $$ SELECT pg_catalog.hashtextextended('hold/' || step || '/' || month, 0) $$;

CREATE SEQUENCE faults.copied_rows;

CREATE FUNCTION faults.wait_in_copy() RETURNS trigger LANGUAGE plpgsql SET lock_timeout = 0 AS $$
BEGIN
    IF pg_catalog.nextval('faults.copied_rows') > 2000 THEN
        PERFORM pg_catalog.pg_advisory_xact_lock_shared(TG_ARGV[0]::bigint);
    END IF;
    RETURN NEW;
END $$;

CREATE FUNCTION faults.wait() RETURNS event_trigger LANGUAGE plpgsql SET lock_timeout = 0 AS $$
DECLARE
    described record;
    found text[];
    doing text;
    copying bigint;
BEGIN
    FOR described IN SELECT * FROM pg_catalog.pg_event_trigger_ddl_commands() LOOP
        found := regexp_match(described.object_identity, '_([0-9]{4})_([0-9]{2})(_|$)');
        CONTINUE WHEN found IS NULL;
        SELECT loads.step INTO doing FROM taxiway.loads
        WHERE loads.state = 'running' AND to_char(loads.month, 'YYYY_MM') = found[1] || '_' || found[2]
        ORDER BY loads.load_id DESC LIMIT 1;
        PERFORM pg_catalog.pg_advisory_xact_lock_shared(faults.key(doing, found[1] || '-' || found[2]))
        WHERE doing IS NOT NULL;
        copying := faults.key('COPY', found[1] || '-' || found[2]);
        IF doing = 'stage_month' AND described.command_tag = 'CREATE TABLE'
            AND NOT pg_catalog.pg_try_advisory_xact_lock_shared(copying)
        THEN
            EXECUTE pg_catalog.format(
                'CREATE TRIGGER hold BEFORE INSERT ON %s FOR EACH ROW EXECUTE FUNCTION faults.wait_in_copy(%L)',
                described.object_identity, copying
            );
        END IF;
    END LOOP;
END $$;

CREATE EVENT TRIGGER hold ON ddl_command_end EXECUTE FUNCTION faults.wait();
"""

REACHED = """
SELECT count(*) FROM pg_catalog.pg_locks, faults.key(%s, %s) AS held
WHERE locktype = 'advisory' AND NOT granted AND (classid::bigint << 32) | objid::bigint = held
"""


class HeldSteps:
    """The holds of one warehouse; they end with the connection.

    :param connection: in autocommit mode, used for nothing else
    """

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        assert connection.autocommit
        self._connection = connection
        connection.execute(INSTALL)

    @property
    def backend_pid(self) -> int:
        return self._connection.info.backend_pid

    def hold(self, step: str, month: str) -> None:
        """Hold a step of a month from now on, for example ``hold("hash_rows", "2019-03")``.

        :param step: its name, or ``COPY``, which waits behind 2,000 rows
        """
        self._connection.execute("SELECT pg_advisory_lock(faults.key(%s, %s))", [step, month])

    def reached(self, step: str, month: str) -> bool:
        """Say whether the step waits."""
        return self._connection.execute(REACHED, [step, month]).fetchone() != (0,)

    def release(self, step: str, month: str) -> None:
        """Let the step go on, and hold it no more."""
        self._connection.execute("SELECT pg_advisory_unlock(faults.key(%s, %s))", [step, month])
