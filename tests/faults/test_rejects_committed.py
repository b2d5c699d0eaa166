"""Cut or killed right behind the commit of rejected lines: the next try knows them, and holds to the limit."""

from __future__ import annotations

import gzip
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest
from airflow.sdk.exceptions import AirflowFailException

from taxiway.download.download import Download
from taxiway.errors import RejectLimitError
from taxiway.paths import ROOT
from taxiway.sources.months import Month
from taxiway.warehouses.postgres.cleanup import drop_staging
from taxiway.warehouses.postgres.tables import LoadTables
from tests.faults.aftermath import assert_rejected, assert_survived
from tests.faults.cutting_proxy import Cut
from tests.faults.killable_server import LOGIN
from tests.faults.loading_by_operators import Loading
from tests.faults.served_months import FIELDS, LINES, ServedMonth, Spoil, describe, write_text_month
from tests.integration.airflow_environment import PATIENCE
from tests.loading import hash_rows, query, source_file, stage_month

MONTH = Month(2019, 1)
ROWS = 800
OVER_THE_LIMIT = 10
"""More than one in a hundred."""

COMMITTED = Cut(1, "messages", lost=True, reset=False, behind=(b"INSERT INTO taxiway.rejected_rows", b"COMMIT"))
"""The server's word that the rejects are committed doesn't arrive."""

SPOILS: dict[str, tuple[Spoil, ...]] = {"stage_month": LINES, "hash_rows": FIELDS}
"""Which lines a step finds."""

ENDED = "SELECT state, step, rows_rejected FROM taxiway.loads ORDER BY load_id"
LAST = "SELECT last_state, filename, row_count FROM taxiway.months"
LINES_KEPT = "SELECT DISTINCT line_number, raw_line FROM taxiway.rejected_rows ORDER BY line_number"

STEP = """
import sys
from pathlib import Path
from typing import Any
import psycopg
from taxiway.sources.months import Month
from taxiway.sources.source import load_source
from taxiway.warehouses.postgres.tables import LoadTables
from tests.loading import hash_rows, source_file, stage_month
port, user, password, database, source, month, run_id, path, step, rows_read = sys.argv[1:]
connection = psycopg.connect(host="127.0.0.1", port=port, user=user, password=password, dbname=database)
tables, file = LoadTables(load_source(Path(source)), Month.parse(month), run_id), source_file(Path(path))
if step == "stage_month":
    stage_month(connection, tables, file)
else:
    staged = {"rows_read": int(rows_read), "canonical": False}
    hash_rows(connection, tables, {"download_month": file.to_dict(), "stage_month": staged})
"""


def write_file(loading: Loading, step: str, folder: Path, *, bad_lines: int) -> ServedMonth:
    """Put a corrected month on the mirror, with lines that the step rejects."""
    path = folder / loading.source.download_name(MONTH)
    bad = SPOILS[step] * (bad_lines // len(SPOILS[step]))
    write_text_month(loading.source, MONTH, path, bad, rows=ROWS, revision=1)
    file = describe(loading.source, MONTH, path)
    loading.put(MONTH, file)
    return file


@pytest.mark.parametrize("step", SPOILS)
def test_connection_cut_within_the_limit(step: str, loading: Loading, tmp_path: Path) -> None:
    file = write_file(loading, step, tmp_path, bad_lines=4)
    assert (file.outcome, len(file.rejects)) == ("loads", 4)
    loading.served[str(MONTH)] = file
    loading.proxy.arm(COMMITTED)

    loading.load(MONTH, "run")

    assert (loading.proxy.cuts, [task for task, _ in loading.tried_again]) == (1, [step])
    with closing(loading.connect()) as connection:
        assert_survived(connection, loading.source, loading.expected)
        assert_rejected(connection, loading.served)
        assert query(connection, ENDED) == [("failed", step, 4), ("published", "merge_month", 4)]


@pytest.mark.parametrize("step", SPOILS)
def test_connection_cut_over_the_limit(step: str, loading: Loading, tmp_path: Path) -> None:
    published = loading.serve(MONTH, rows=ROWS)
    loading.load(MONTH, "before")
    bad = write_file(loading, step, tmp_path, bad_lines=OVER_THE_LIMIT)
    assert (bad.outcome, len(bad.rejects)) == ("RejectLimitError", OVER_THE_LIMIT)
    loading.proxy.arm(COMMITTED)

    with pytest.raises(AirflowFailException, match=rf"green 2019-01: .*: {OVER_THE_LIMIT} of .* rows can't be read"):
        loading.load(MONTH, "run")

    assert (loading.proxy.cuts, [task for task, _ in loading.tried_again]) == (1, [step])
    with closing(loading.connect()) as connection:
        assert_survived(connection, loading.source, loading.expected, last_states=["failed"])
        assert query(connection, ENDED)[1:] == [("failed", step, OVER_THE_LIMIT)] * 2
        assert query(connection, LAST) == [("failed", published.path.name.removesuffix(".gz"), published.rows)]
        assert query(connection, LINES_KEPT) == sorted(bad.rejects.items())


@pytest.mark.parametrize("step", SPOILS)
def test_worker_killed_over_the_limit(step: str, loading: Loading, tmp_path: Path) -> None:
    source = loading.source
    bad = write_file(loading, step, tmp_path, bad_lines=OVER_THE_LIMIT)
    path = bad.path
    tables = LoadTables(source, MONTH, "run")
    rows_read = gzip.decompress(path.read_bytes()).count(b"\n") - 1
    file = source_file(path)
    outputs = {"download_month": file.to_dict(), "stage_month": {"rows_read": rows_read, "canonical": False}}
    user, password = LOGIN
    with closing(loading.connect()) as connection:
        if step == "hash_rows":
            assert stage_month(connection, tables, file) == outputs
        started = threading.Event()

        def kill() -> None:
            started.wait(30)
            worker.kill()

        loading.proxy.arm(COMMITTED, kill)
        at = (str(loading.proxy.port), user, password, loading.database, str(loading.sources / "green.yaml"))
        with subprocess.Popen(
            [sys.executable, "-c", STEP, *at, str(MONTH), "run", str(path), step, str(rows_read)],
            cwd=ROOT,
            env={"PYTHONPATH": f"{ROOT / 'plugins'}:{ROOT}", "PATH": ""},
        ) as worker:
            started.set()
            assert worker.wait(PATIENCE * 60) == -9

        with pytest.raises(RejectLimitError, match=rf"green 2019-01: .*: {OVER_THE_LIMIT} of "):
            _try_again(connection, tables, outputs, step)
        drop_staging(connection, tables)

        assert_survived(connection, source, {}, last_states=["failed"])
        ended = [("abandoned", step, OVER_THE_LIMIT), ("failed", step, OVER_THE_LIMIT)]
        assert query(connection, ENDED) == ended
        assert query(connection, LINES_KEPT) == sorted(bad.rejects.items())


def _try_again(connection: psycopg.Connection[Any], tables: LoadTables, outputs: dict[str, Any], step: str) -> None:
    if step == "stage_month":
        stage_month(connection, tables, Download.from_dict(outputs["download_month"]))
    else:
        hash_rows(connection, tables, outputs)
