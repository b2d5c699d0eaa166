"""Loads months by the DAG's operators, each tried as often as Airflow would, through a proxy that may fail."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psycopg
from airflow.sdk.exceptions import AirflowFailException

from taxiway.core.months import Month
from taxiway.core.row_identity import digest, unique_row_ids
from taxiway.core.sources import Source
from taxiway.local.samples import write_sample_month
from taxiway.operators.check_month import CheckMonthOperator
from taxiway.operators.drop_staging import DropStagingOperator
from taxiway.operators.fetch_month import FetchMonthOperator
from taxiway.operators.hash_rows import HashRowsOperator
from taxiway.operators.merge_month import MergeMonthOperator
from taxiway.operators.stage_month import StageMonthOperator
from tests.conftest import PostgresServer
from tests.faults.cutting_proxy import CuttingProxy
from tests.loading import lines_of
from tests.mirror_faults import FaultyMirror

RETRIES = 3
"""As the DAG has it."""


@dataclass
class Loading:
    """A warehouse behind a proxy, a mirror, and the months that were served and loaded.

    :param before_retry: called before a step is tried again
    :param tried_again: steps that were, and why
    :param expected: file names, and the digest of the ids that the specification gives their rows
    """

    server: PostgresServer
    database: str
    proxy: CuttingProxy
    mirror: FaultyMirror
    source: Source
    folder: Path
    before_retry: Callable[[], None] = lambda: None
    tried_again: list[tuple[str, Exception]] = field(default_factory=list)
    expected: dict[str, str] = field(default_factory=dict)

    def connect(self) -> psycopg.Connection[Any]:
        """Connect without the proxy."""
        return self.server.connect(self.database)

    def serve(self, month: Month, *, rows: int, revision: int) -> Path:
        """Put a month on the mirror, and say what it must come to."""
        path = self.folder / str(revision) / self.source.filename(month)
        write_sample_month(self.source, month, path, rows=rows, revision=revision)
        self.mirror.put(f"/{self.source.file_path(month)}", path.read_bytes())
        lines = [line.split(",") for line in lines_of(path)[1:]]
        self.expected[path.name] = digest(unique_row_ids(self.source.columns, lines))
        return path

    def load(self, month: Month, run_id: str) -> None:
        """Run the DAG's tasks one after another."""
        of_month = {"source_name": self.source.name, "month": str(month)}
        download = self._run(FetchMonthOperator(task_id="download_month", **of_month), run_id)
        staged = self._run(StageMonthOperator(task_id="stage_month", download=download, **of_month), run_id)
        self._run(HashRowsOperator(task_id="hash_rows", staged=staged, **of_month), run_id)
        self._run(CheckMonthOperator(task_id="check_month", **of_month), run_id)
        self._run(MergeMonthOperator(task_id="merge_month", **of_month), run_id)
        self._run(DropStagingOperator(task_id="drop_staging", **of_month), run_id)

    def _run(self, operator: Any, run_id: str) -> Any:
        run = SimpleNamespace(
            run_id=run_id, run_type="manual", logical_date=None, start_date=datetime.now(timezone.utc)
        )
        for try_number in range(1, RETRIES + 2):
            try:
                return operator.execute({"dag_run": run, "ti": SimpleNamespace(try_number=try_number)})
            except AirflowFailException:
                raise
            except Exception as error:
                if try_number > RETRIES:
                    raise
                self.tried_again.append((operator.task_id, error))
                self.before_retry()
        raise AssertionError
