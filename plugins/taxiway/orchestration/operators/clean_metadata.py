"""Operator: delete old runs from Airflow's metadata, by Airflow's own command."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from airflow.providers.postgres.hooks.postgres import PostgresHook
from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowNotFoundException

from taxiway.errors import SettingError, TransientWarehouseError
from taxiway.messages import counted, printable
from taxiway.orchestration.failures import retry_or_fail
from taxiway.orchestration.retention import retention
from taxiway.settings import parse_flag

if TYPE_CHECKING:
    from airflow.sdk import Context

SETTING = "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"

_REFUSED = "airflow-db-not-allowed"
"""How the address begins that Airflow gives tasks in place of its database's."""


_LOST = re.compile(r"\b(OperationalError|InterfaceError)\b|encountered errors on the following tables")
"""What the command says if it can't reach the database, if it loses it, and if a table is locked for too long."""


class CleanMetadataOperator(BaseOperator):
    """Delete old runs, tasks, XComs and events from Airflow's metadata by ``airflow db clean``.

    Airflow keeps its database from tasks, and the command is another process: it takes the address from the connection,
    or from ``airflow.cfg`` if there is no such connection. Returns how many rows it has found to delete.

    :param is_dry_run: whether only to say what would be deleted (templated)
    :param conn_id: connection to the metadata
    """

    template_fields: Sequence[str] = ("is_dry_run",)

    def __init__(self, *, is_dry_run: bool | str = False, conn_id: str = "airflow_db", **kwargs: Any) -> None:
        """Assign the parameters; all else waits for :meth:`execute`."""
        super().__init__(**kwargs)
        self.is_dry_run = is_dry_run
        self.conn_id = conn_id

    def execute(self, context: Context) -> int:
        """Run the command.

        :raises AirflowFailException: a setting can't be used, or the command can't
        :raises TransientWarehouseError: it has lost the database, or found it locked or down
        """
        with retry_or_fail(context):
            dry_run, days = parse_flag(self.is_dry_run, "dry_run"), retention().airflow
            before = datetime.now(timezone.utc) - timedelta(days=days)
            command = [sys.executable, "-m", "airflow", "db", "clean", "--clean-before-timestamp", before.isoformat()]
            command += ["--dry-run"] if dry_run else ["--skip-archive", "--yes", "--error-on-cleanup-failure"]
            done = subprocess.run(
                command,
                env=self._environment(),
                text=True,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                check=False,
            )
            for line in done.stdout.splitlines():
                self.log.info("%s", printable(line))
            if done.returncode:
                said = printable(done.stdout[-500:])
                found = f"{self.dag_id}, {self.task_id}: airflow db clean ended with {done.returncode}: {said}"
                reach = f"add a connection {self.conn_id} that reaches Airflow's metadata: docs/maintenance.md"
                if _LOST.search(done.stdout):
                    raise TransientWarehouseError(
                        f"{found}. The task is tried again. If that goes on failing, look at the database, or {reach}"
                    )
                raise SettingError(f"{found}. Correct what it says, or {reach}")
        rows = sum(int(count) for count in re.findall(r"Found (\d+) rows meeting deletion criteria", done.stdout))
        said = "would be deleted, with what depends on it" if dry_run else "deleted, with what depends on it"
        self.log.info("Airflow's metadata: %s: %s older than %d days", said, counted(rows, "row"), days)
        return rows

    def _environment(self) -> dict[str, str]:
        """Return the environment of the command: a task's own names no database."""
        found = {name: value for name, value in os.environ.items() if not value.startswith(_REFUSED)}
        try:
            address = PostgresHook(postgres_conn_id=self.conn_id).sqlalchemy_url
        except AirflowNotFoundException:
            return found
        return {**found, SETTING: address.set(drivername="postgresql+psycopg2").render_as_string(hide_password=False)}
