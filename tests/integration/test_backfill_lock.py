"""Who is named as the holder of a DAG's lock, and whether it can be ended from here."""

from __future__ import annotations

import os
from datetime import datetime, timezone

import pytest
from airflow.utils.net import get_hostname

from dags_backfill.lock import LockHolder


@pytest.mark.parametrize(
    "name",
    [
        f"airflow dags backfill, process {os.getpid()} on another-machine",
        # Its number belongs to another process now, or in another container.
        f"airflow dags backfill, process {os.getpid()} on {get_hostname()}"[:63],
        f"airflow dags backfill, process 999999999 on {get_hostname()}"[:63],
        "psql",
    ],
    ids=["on another machine", "another process", "no process", "another program"],
)
def test_nobody_is_told_to_kill_a_process_that_may_be_another_one(name: str) -> None:
    assert LockHolder(name, datetime.now(timezone.utc)).local_pid is None
