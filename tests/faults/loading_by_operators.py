"""Loads months by the DAG's operators, each tried as often as Airflow would, through a proxy that may fail."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
from airflow.sdk.exceptions import AirflowFailException, DownstreamTasksSkipped

from taxiway.sources.months import Month
from taxiway.sources.source import Source
from tests.conftest import PostgresServer
from tests.faults.cutting_proxy import CuttingProxy
from tests.faults.served_months import ServedMonth, ServedMonths
from tests.faults.task_runner import execute_task
from tests.mirror_faults import FaultyMirror

RETRIES = 3
"""As the DAG has it."""


@dataclass
class Loading:
    """A warehouse behind a proxy, a mirror, and the months that were served and loaded.

    :param source: the source of the files; a copy of green that allows one bad line in a hundred
    :param sources: the folder of its YAML file
    :param execute: runs a task, as :func:`execute_task` does
    :param before_retry: called before a step is tried again
    :param tried_again: steps that were, and why
    :param served: the months on the mirror
    :param left: what the tasks of a month's run have left in XCom, by their ids
    """

    server: PostgresServer
    database: str
    proxy: CuttingProxy
    mirror: FaultyMirror
    source: Source
    sources: Path
    files: ServedMonths
    execute: Callable[..., Any] = execute_task
    before_retry: Callable[[], None] = lambda: None
    tried_again: list[tuple[str, Exception]] = field(default_factory=list)
    served: dict[str, ServedMonth] = field(default_factory=dict)
    left: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)

    @property
    def expected(self) -> dict[str, str]:
        """File names, and the digest of the ids that the specification gives their rows."""
        return {month.path.name: month.ids_digest for month in self.served.values()}

    def connect(self) -> psycopg.Connection[Any]:
        """Connect without the proxy."""
        return self.server.connect(self.database)

    def serve(self, month: Month, *, rows: int, revision: int = 0, kind: str = "canonical") -> ServedMonth:
        """Put a month on the mirror, and say what it must come to.

        :param kind: canonical, text or rejects
        """
        file = self.files.get(self.source, month, kind, rows=rows, revision=revision)
        assert (file.outcome, len(file.rejects)) == ("loads", 4 if kind == "rejects" else 0)
        self.put(month, file)
        self.served[str(month)] = file
        return file

    def put(self, month: Month, file: ServedMonth) -> None:
        """Put a file on the mirror."""
        self.mirror.put(f"/{self.source.file_path(month)}", file.path.read_bytes())

    def load(self, month: Month, run_id: str) -> None:
        """Run the DAG's tasks one after another, the teardown as soon as there is something to tear down."""
        self.stage(month, run_id)
        try:
            self.run("hash_rows", month, run_id)
            self.publish(month, run_id)
        finally:
            self.run("drop_staging", month, run_id)

    def stage(self, month: Month, run_id: str) -> Any:
        """Run the tasks up to ``stage_month``, and return what it leaves in XCom."""
        self.run("download_month", month, run_id)
        return self.run("stage_month", month, run_id)

    def publish(self, month: Month, run_id: str) -> None:
        """Run the tasks behind ``hash_rows`` that publish the month."""
        self.run("check_month", month, run_id)
        self.run("merge_month", month, run_id)

    def run(self, task_id: str, month: Month, run_id: str) -> Any:
        """Run a task, and try it again as Airflow would."""
        left = self.left.setdefault((str(month), run_id), {})
        for try_number in range(1, RETRIES + 2):
            try:
                left[task_id] = self.execute(task_id, self.source.name, str(month), run_id, try_number, left)
                return left[task_id]
            except (AirflowFailException, DownstreamTasksSkipped):
                raise
            except Exception as error:
                if try_number > RETRIES:
                    raise
                self.tried_again.append((task_id, error))
                self.before_retry()
        raise AssertionError
