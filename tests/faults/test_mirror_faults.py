"""A mirror's faults in a real Airflow: what can be survived is, and the rest changes nothing.

One backfill meets all of them. Afterwards the mirror works, and a second one loads what failed.
"""

from __future__ import annotations

import gzip
import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from taxiway.download.cache import Cache
from taxiway.paths import ROOT
from taxiway.sources.months import Month
from taxiway.sources.source import Source
from taxiway_local.samples import write_sample_month
from tests.conftest import PostgresServer
from tests.faults.aftermath import assert_survived, clean_ids
from tests.integration.taxi_airflow import TaxiAirflow
from tests.mirror_faults import Answer, FaultyMirror, Seen, cut_off, good, held, slow, status

pytestmark = pytest.mark.skipif(
    not Path("/dev/full").exists(), reason="this system has no /dev/full, a file that is always full"
)

ROWS = 60
READ_TIMEOUT = 5
MAX_FILE_SIZE = 100_000
MAX_UNPACKED_SIZE = 1_000_000
RETRY_AFTER = 5

QUICKER_DAGS = '''
"""The project's DAG of green as it is, with airflow trying again sooner."""
from datetime import timedelta
from taxiway.paths import SOURCES_FOLDER
from taxiway.sources.source import load_source
from taxiway.orchestration.dags import load_dag

dag = load_dag(load_source(SOURCES_FOLDER / "green.yaml"), "postgres")
for task in dag.tasks:
    task.retry_delay = timedelta(seconds=1)
'''


@dataclass(frozen=True)
class File:
    """A month's file at the mirror.

    :param body: as it is in the end
    :param before: as it was before somebody corrected it
    """

    body: bytes
    before: bytes

    @property
    def half(self) -> int:
        return len(self.body) // 2


@dataclass(frozen=True)
class Case:
    """What the mirror does for one month, one thing after the other, and what is to become of it.

    :param faults: their names
    :param answers: the mirror's first answers; then it serves the file
    :param statuses: of all answers of the first backfill
    :param errors: what the ledger says of each try that failed
    :param final: whether the last of them fails the month, rather than being tried again
    """

    faults: str
    answers: Callable[[File], list[Answer]]
    statuses: tuple[int, ...]
    errors: tuple[str, ...]
    final: bool = False


def rest_of(body: bytes, first: int, etag_of: bytes) -> Answer:
    """The rest of a file, sent whatever condition was asked for."""
    headers = {"Content-Range": f"bytes {first}-{len(body) - 1}/{len(body)}"}
    return good(body[first:], status=206, etag=good(etag_of).etag, ranges=False, conditional=False, headers=headers)


CUT = "then the connection broke"
DISK_FULL = "disk full, length too large"
WAITS = "429 with Retry-After, no answer"
SERVER_ERRORS = "500 twice, slow"
CASES = (
    Case(
        SERVER_ERRORS,
        lambda file: [status(500), status(500), slow(file.body, len(file.body) // 10, 0.2)],
        (500, 500, 200),
        ("the answer is 500 Internal Server Error", "the answer is 500 Internal Server Error"),
    ),
    Case(
        WAITS,
        lambda file: [status(429, retry_after=str(RETRY_AFTER)), held(good(file.body))],
        (429, 200, 200),
        (f"; it asks to wait {RETRY_AFTER} s; expected the month's file", f"no answer within {READ_TIMEOUT} s"),
    ),
    Case(
        "cut off, stalled",
        lambda file: [cut_off(file.body, file.half), held(good(file.body), file.half // 2)],
        (200, 206, 206),
        (CUT, "then nothing more came in time"),
    ),
    Case(
        DISK_FULL,
        lambda file: [good(file.body), good(file.body, length=len(file.body) + 10)],
        (200, 200, 416, 200),
        ("is full ([Errno 28] No space left on device)", CUT),
    ),
    Case(
        "wrong range, changed between two ranges",
        lambda file: [
            cut_off(file.before, file.half),
            rest_of(file.before, file.half // 2, file.before),
            cut_off(file.before, file.half),
        ],
        (200, 206, 200, 200),
        (CUT, CUT),
    ),
    Case(
        "changed and If-Range ignored, changed under the same ETag",
        lambda file: [
            cut_off(file.before, file.half),
            rest_of(file.body, file.half, file.body),
            cut_off(file.before, file.half, length="none"),
            rest_of(file.body, file.half, file.before),
        ],
        (200, 206, 200, 206, 200),
        (CUT, "of an unknown number of bytes, then the connection closed"),
    ),
    Case("404", lambda _: [status(404)], (404,), ("the answer is 404 Not Found",), final=True),
    Case(
        "429 with a Retry-After of an hour",
        lambda _: [status(429, retry_after="3600")],
        (429,),
        ("it asks to wait 3600 s, and a task waits 900 s at most. Load the month again after ",),
        final=True,
    ),
    Case(
        "length too small",
        lambda file: [good(file.body, length=len(file.body) - 10)],
        (200,),
        ("a gzip file that breaks off after",),
        final=True,
    ),
    Case(
        "gzip bomb",
        lambda _: [good(gzip.compress(bytes(50 * MAX_UNPACKED_SIZE)))],
        (200,),
        (f"already; expected at most {MAX_UNPACKED_SIZE} bytes (1.0 MB)",),
        final=True,
    ),
    Case(
        "too large",
        lambda file: [good(file.body, length=2 * MAX_FILE_SIZE)],
        (200,),
        (f"a file of {2 * MAX_FILE_SIZE} bytes, as the mirror says; expected at most {MAX_FILE_SIZE} bytes",),
        final=True,
    ),
    Case(
        "too large and unannounced",
        lambda file: [good(file.body + bytes(5 * MAX_FILE_SIZE), length="chunked")],
        (200,),
        ("bytes of a file, and it goes on; expected at most",),
        final=True,
    ),
)
MONTHS = {case: Month(2019, number) for number, case in enumerate(CASES, start=1)}
CASES_BY_NAME = {case.faults: case for case in CASES}
RANGE = (str(min(MONTHS.values()).first_day), str(max(MONTHS.values()).first_day))


@dataclass
class Loading:
    """An Airflow that loads from a mirror which does as the cases say.

    :param taxi: Airflow and its warehouse
    :param mirror: the mirror
    :param source: whose months
    :param clean: what a clean load of all months gives: digests of their ids, by file name
    """

    taxi: TaxiAirflow
    mirror: FaultyMirror
    source: Source
    clean: dict[str, str]

    def backfill(self, *options: str) -> tuple[int, str]:
        return self.taxi.backfill(*RANGE, "taxi_green", "--max-active-runs", "8", *options)

    def asked(self, case: Case) -> list[Seen]:
        path = f"/{self.source.file_path(MONTHS[case])}"
        return [seen for seen in self.mirror.seen if seen.path == path]

    def filenames(self, *, loaded: bool) -> set[str]:
        """Return the names of the files that are loaded, or not, where the mirror isn't well."""
        return {self.source.download_name(month) for case, month in MONTHS.items() if case.final is not loaded}


def make_checkout(home: Path) -> None:
    """Make the home a checkout of its own, whose source allows small files only, and whose tasks retry soon."""
    for name in ("plugins", "include", "dags"):
        (home / name).unlink()
    # With its compiled modules, but for those that another process is writing.
    shutil.copytree(ROOT / "plugins", home / "plugins", ignore=shutil.ignore_patterns("*.pyc.*"))
    shutil.copytree(ROOT / "include", home / "include")
    (home / "dags").mkdir()
    (home / "dags" / "taxi.py").write_text(QUICKER_DAGS)
    with (home / "include" / "sources" / "green.yaml").open("a") as file:
        file.write(f"max_file_size: {MAX_FILE_SIZE}\nmax_unpacked_size: {MAX_UNPACKED_SIZE}\n")


def make_files(source: Source, folder: Path) -> dict[Month, File]:
    """Make the months' files; as they are in the end, they lie in the folder."""
    found = {}
    for month in MONTHS.values():
        path = folder / source.download_name(month)
        bodies = []
        for revision in (0, 1):
            path.unlink(missing_ok=True)
            write_sample_month(source, month, path, rows=ROWS, revision=revision)
            bodies.append(path.read_bytes())
        found[month] = File(body=bodies[1], before=bodies[0])
    return found


@pytest.fixture(scope="module")
def loading(
    green: Source, tmp_path_factory: pytest.TempPathFactory, postgres_server: PostgresServer
) -> Iterator[Loading]:
    home, folder = tmp_path_factory.mktemp("taxi") / "home", tmp_path_factory.mktemp("files")
    files = make_files(green, folder)
    clean = clean_ids(postgres_server, green, [(str(month), folder / green.download_name(month)) for month in files])
    assert len(set(clean.values())) == len(CASES)
    with FaultyMirror() as mirror, TaxiAirflow.create(postgres_server, home, mirror.url) as taxi:
        make_checkout(home)
        taxi.airflow.variables["PYTHONPATH"] = str(home / "plugins")
        taxi.airflow.variables["AIRFLOW_CONN_TLC_MIRROR"] = json.dumps(
            {"conn_type": "http", "host": mirror.url, "extra": {"timeout": READ_TIMEOUT}}
        )
        for case, month in MONTHS.items():
            path = f"/{green.file_path(month)}"
            mirror.put(path, files[month].body)
            mirror.script(path, *case.answers(files[month]))
        # A file that is always full. When the transfer is given up, the link to it is removed.
        part = Cache(home / "cache", 0).slot(mirror.url, green.file_path(MONTHS[CASES_BY_NAME[DISK_FULL]])).part
        part.parent.mkdir(parents=True)
        part.symlink_to("/dev/full")
        yield Loading(taxi, mirror, green, clean)


@pytest.fixture(scope="module")
def said(loading: Loading) -> str:
    """What the backfill that meets the faults has printed."""
    code, said = loading.backfill()
    assert code == 1, said
    return said


@pytest.fixture(scope="module")
def said_at_the_end(loading: Loading, said: str) -> str:
    """What the same backfill has printed when the mirror was well again."""
    code, said_at_the_end = loading.backfill("--reprocess-behavior", "failed")
    assert code == 0, said_at_the_end
    return said_at_the_end


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.faults)
def test_each_try_ends_as_it_should(case: Case, loading: Loading, said: str) -> None:
    month = MONTHS[case]
    assert [seen.status for seen in loading.asked(case)][: len(case.statuses)] == list(case.statuses), said
    failed = loading.taxi.query(
        f"SELECT error FROM taxiway.loads WHERE month = '{month.first_day}' AND state = 'failed' ORDER BY load_id"
    )
    assert len(failed) == len(case.errors), failed
    for (found,), error in zip(failed, case.errors, strict=True):
        assert f"green {month}: " in found
        assert error in found
    retries = loading.taxi.airflow.query(
        "SELECT count(*) FROM task_instance_history h JOIN dag_run r USING (dag_id, run_id)"
        " WHERE h.task_id = 'download_month' AND to_char(r.logical_date, 'YYYY-MM') = %s",
        str(month),
    )
    assert retries == [(len(case.errors) - case.final,)]
    lines = [line for line in said.splitlines() if f"green {month}: " in line and case.errors[-1] in line]
    assert any("is tried again: " not in line for line in lines) is case.final, (
        "the report tells of what failed for good"
    )


def test_the_next_try_is_no_earlier_than_the_mirror_asks(loading: Loading, said: str) -> None:
    first, second, *_ = (seen.at for seen in loading.asked(CASES_BY_NAME[WAITS]))
    assert second - first >= RETRY_AFTER
    # No other try was told when to go on: by their own settings, they go on sooner.
    assert loading.taxi.airflow.query(
        "SELECT retry_delay_override, retry_reason FROM task_instance_history"
        " WHERE retry_delay_override IS NOT NULL OR retry_reason IS NOT NULL"
    ) == [(RETRY_AFTER, f"the mirror asks to wait {RETRY_AFTER} s")]


def test_the_main_table_is_that_of_a_clean_load_and_nothing_is_left_behind(loading: Loading, said: str) -> None:
    loaded = loading.filenames(loaded=True)
    expected = {name: digest for name, digest in loading.clean.items() if name in loaded}
    assert len(expected) == 6
    with loading.taxi.connect() as connection:
        assert_survived(connection, loading.source, expected, last_states=("published", "failed"))
    cache = loading.taxi.airflow.home / "cache"
    cached = {path.name for path in cache.rglob("*") if not path.is_dir() and path.suffix != ".lock"}
    assert cached == loaded | {f"{name}.json" for name in loaded}


def test_the_rest_is_loaded_once_the_mirror_is_well(loading: Loading, said_at_the_end: str) -> None:
    with loading.taxi.connect() as connection:
        assert_survived(connection, loading.source, loading.clean)
