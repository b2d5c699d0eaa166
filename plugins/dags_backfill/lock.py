"""One backfill command per DAG: a lock that the database takes back when the command dies.

A Postgres advisory lock belongs to a connection. So there is nothing to clean up after a killed command and no
heartbeat to misjudge, and the lock works across machines. Two commands that start in the same moment can't both have
it.
"""

from __future__ import annotations

import contextlib
import os
import re
import zlib
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import psutil
from sqlalchemy import text
from sqlalchemy.engine import Connection
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import NullPool

from dags_backfill.cli import COMMAND
from dags_backfill.configuration import named_by
from dags_backfill.errors import BackfillError
from dags_backfill.processes import hide_from_children, show_to_children

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

_CLASS = 0x7461
"""First half of the lock's key, to stay clear of Airflow's own advisory locks, which have a single number."""

_HOLDER = text(
    """
    SELECT activity.application_name, activity.backend_start
      FROM pg_locks AS locks
      JOIN pg_stat_activity AS activity ON activity.pid = locks.pid
      JOIN pg_database AS db ON db.oid = locks.database AND db.datname = current_database()
     WHERE locks.locktype = 'advisory' AND locks.objsubid = 2 AND locks.granted
       AND locks.classid::bigint = :class AND locks.objid::bigint = :key
    """
)


_SETTINGS = text(
    """
    SELECT set_config('application_name', :name, false),
           set_config('tcp_keepalives_idle', '30', false), set_config('tcp_keepalives_interval', '10', false),
           set_config('tcp_keepalives_count', '3', false), set_config('tcp_user_timeout', '60000', false)
    """
)
"""The connection's name, and how the server finds out within a minute that the command's machine is gone."""


@dataclass(frozen=True)
class LockHolder:
    """The command that has the lock.

    :param name: its process and machine, in words
    :param since: when it started
    """

    name: str
    since: datetime

    @property
    def local_pid(self) -> int | None:
        """Its process id, if it runs on this machine, where it can be ended; None elsewhere."""
        number = re.search(r"process (\d+) on ", self.name)
        if number is None or self.name != _name(int(number[1])):
            return None
        # A machine's name says little: it may be cut off, and containers may share it, but not their processes.
        with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            if COMMAND in psutil.Process(int(number[1])).cmdline():
                return int(number[1])
        return None


def require_postgres() -> None:
    """Make sure that Airflow's metadata are in Postgres, which alone has the lock.

    :raises BackfillError: they are elsewhere
    """
    from airflow import settings

    dialect = settings.get_engine().dialect.name
    if dialect != "postgresql":
        raise BackfillError(
            f"Airflow's metadata database{named_by('database', 'sql_alchemy_conn')} is {dialect}: this command needs "
            "Postgres. Set [database] sql_alchemy_conn to a Postgres server"
        )


class BackfillLock:
    """The right to run the backfill of one DAG."""

    def __init__(self, dag_id: str) -> None:
        """Prepare the lock, without taking it.

        :param dag_id: the DAG
        """
        self.dag_id = dag_id
        self._connection: Connection | None = None
        self._socket = -1

    def acquire(self) -> bool:
        """Take the lock, if it is free.

        :return: whether it is ours now
        """
        from airflow import settings

        # An engine of its own: the lock lives as long as its connection, which a pool would take back.
        connection = settings.create_metadata_engine(
            settings.get_engine().url.render_as_string(hide_password=False),
            engine_args={"poolclass": NullPool, "isolation_level": "AUTOCOMMIT"},
            connect_args=settings._get_connect_args("sync"),
        ).connect()
        connection.execute(_SETTINGS, {"name": _name(os.getpid())})
        if not connection.execute(
            text("SELECT pg_try_advisory_lock(:class, :key)"), {"class": _CLASS, "key": _signed(self._key)}
        ).scalar():
            connection.close()
            return False
        self._connection = connection
        driver_connection: Any = connection.connection.dbapi_connection
        self._socket = int(driver_connection.fileno())
        hide_from_children(self._socket)
        return True

    def keep(self) -> bool:
        """Ask the database over the lock's connection, so that it stays up; take the lock again if it was cut.

        :return: whether the lock is still ours
        """
        if self._connection is not None:
            try:
                self._connection.execute(text("SELECT 1"))
                return True
            except SQLAlchemyError:
                self.release()
        return self.acquire()

    def release(self) -> None:
        """Give the lock back; without one, do nothing."""
        if self._connection is not None:
            show_to_children(self._socket)
            self._connection.close()
            self._connection = None

    def holder(self, session: Session) -> LockHolder | None:
        """Return who has the lock; None if nobody has."""
        row = session.execute(_HOLDER, {"class": _CLASS, "key": self._key}).first()
        return None if row is None else LockHolder(name=row.application_name, since=row.backend_start)

    @property
    def _key(self) -> int:
        return zlib.crc32(self.dag_id.encode())


def _name(pid: int) -> str:
    """Return what a command's connection is called, as long as Postgres lets it be."""
    from airflow.utils.net import get_hostname

    return f"airflow dags {COMMAND}, process {pid} on {get_hostname()}"[:63]


def _signed(key: int) -> int:
    """Return an unsigned 32-bit number as the signed one that Postgres takes, of the same bits."""
    return key - 2**32 if key >= 2**31 else key
