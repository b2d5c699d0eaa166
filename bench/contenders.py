"""The contenders: each loads, reloads or downloads something, and says what it measured."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from bench import course_flow, dlt_load, pandas_load
from bench import taxiway_load as taxiway
from bench.airflow_home import TAXIWAY_DAG, TRIVIAL_DAG, AirflowHome
from bench.contents import Contents
from bench.month_files import REAL, REPEATS, SMALL, TINY, TRANSFER, MonthFiles
from bench.rounds import Contender
from bench.scale import COURSE_MONTHS, FIRST_MONTH, TINY_ROWS, Scale, months_from
from bench.warehouse import Warehouse, folder_bytes, require_durability
from bench.watch import PeakWatch
from bench.without_rejects import trusting
from taxiway.sources.months import Month
from taxiway.warehouses.postgres.session import transaction

DATABASE = "contender"
MIB = 1 << 20

Measures = Mapping[str, float]


@dataclass
class Contenders:
    """Everything that is compared.

    :param scale: how much
    :param warehouse: the server
    :param files: the months
    :param airflow: the benchmark's Airflow
    :param mirror: address under which the sets of months are served
    :param contents: what was loaded
    """

    scale: Scale
    warehouse: Warehouse
    files: MonthFiles
    airflow: AirflowHome
    mirror: str
    contents: Contents = field(init=False)

    def __post_init__(self) -> None:
        """Begin with nothing loaded."""
        self.contents = Contents(self.files.source)

    def all(self) -> dict[str, Contender]:
        """Return the contenders, by what is said of them while they run; each measures once when it is called."""
        return {
            **self.without_airflow(),
            "the month through Airflow": self.airflow_month,
            "backfill of a DAG of empty tasks": self.trivial_backfill,
            "backfill of tiny months": self.tiny_backfill,
            "backfill of months side by side": partial(self.backfill, "four_at_once", REAL, at_once=True),
            "backfill of months one after another": partial(self.backfill, "one_by_one", REAL, at_once=False),
            "backfill of small months side by side": partial(self.backfill, "small_at_once", SMALL, at_once=True),
            "backfill of small months one after another": partial(
                self.backfill, "small_one_by_one", SMALL, at_once=False
            ),
        }

    def without_airflow(self) -> dict[str, Contender]:
        """Return those that Airflow has no part in."""
        return {
            "bare COPY": self.copy,
            "Taxiway's steps, and reloads": self.steps,
            "the steps, with and without the look at every row": self.rejects,
            "the steps, where rows repeat": self.repeats,
            "the course's flow": self.course,
            "the course's flow, in the server's locale": self.course_in_servers_locale,
            "pandas": self.pandas,
            "dlt, append": partial(self.dlt, "append"),
            "dlt, delete-insert": partial(self.dlt, "merge"),
            "many months into one table": self.growth,
            "the steps of some months side by side": self.steps_at_once,
            "the steps, watching the disk": self.disk,
            "download by curl": self.curl,
            "Taxiway's download": self.download,
        }

    @property
    def _main(self) -> str:
        return f"public.{self.files.source.main_table}"

    @property
    def _month(self) -> Path:
        return self.files.path(REAL, FIRST_MONTH)

    def copy(self) -> Measures:
        """The limit: COPY into a bare table."""
        with self.warehouse.fresh(DATABASE) as own, own.connect() as connection:
            seconds = taxiway.copy_bare(connection, self.files.source, self._month)
            self.contents.look(connection, "copy", "public.bare", self.scale.rows)
        return {"copy": seconds}

    def steps(self) -> Measures:
        """A first load, a reload of the same bytes, a reload of a corrected file."""
        source, cache = self.files.source, self._empty("steps-cache")
        corrected, changed = self.files.corrected, self.files.corrected_rows
        fetch = partial(taxiway.download, f"{self.mirror}/{REAL}", source, FIRST_MONTH, cache)
        file = fetch()
        with self.warehouse.fresh(DATABASE) as own, own.connect() as connection:
            with transaction(connection):  # with the settings of the steps
                require_durability(connection)
            first = taxiway.load(connection, source, FIRST_MONTH, file, "first")
            self.contents.look(connection, "steps", self._main, self.scale.rows)
            self.contents.look_at_ids(connection, "steps", self._main)
            self.warehouse.query("CHECKPOINT")
            began = time.perf_counter()
            fetched = taxiway.fetch(connection, source, FIRST_MONTH, "unchanged", fetch)
            unchanged = time.perf_counter() - began
            again = taxiway.load(connection, source, FIRST_MONTH, corrected, "corrected")
        counts = again.published
        if fetched.nothing_to_do is None or (counts.inserted, counts.deleted) != (changed, changed):
            raise RuntimeError(f"reloads went wrong: {fetched}, {counts}, expected {changed} rows to change")
        shutil.rmtree(cache)
        return {
            "steps": first.total,
            "stage": first.stage,
            "hash": first.hash,
            "check": first.check,
            "merge": first.merge,
            "reload_unchanged": unchanged,
            "reload_corrected": again.total,
        }

    def rejects(self) -> Measures:
        """First loads by steps that trust every row, and by those that don't: two each, one pair within the other.

        They differ by less than a machine does from one moment to the next.
        """
        with_, without = "steps_with_rejects", "steps_without_rejects"
        seconds = dict.fromkeys((with_, without), 0.0)
        for name in (without, with_, with_, without):
            with trusting(self.scale.rows) if name == without else nullcontext():
                seconds[name] += self._load_once(name, REAL) / 2
        return seconds

    def repeats(self) -> Measures:
        """A first load of a month in which a few rows stand twice."""
        return {"steps_with_repeats": self._load_once("steps_with_repeats", REPEATS)}

    def _load_once(self, name: str, files: str) -> float:
        file = self.files.download(files, FIRST_MONTH)
        with self.warehouse.fresh(DATABASE) as own, own.connect() as connection:
            seconds = taxiway.load(connection, self.files.source, FIRST_MONTH, file, "first").total
            if files == REAL:
                self.contents.look_at_ids(connection, name, self._main)
            self._require(own, self.scale.rows)
        return seconds

    def course(self) -> Measures:
        """The course's flow: three months in a row, the last one counts."""
        seconds = self._course_months("course", course_flow.locale(self.warehouse))
        return {"course_first_month": seconds[0], "course_third_month": seconds[-1]}

    def course_in_servers_locale(self) -> Measures:
        """The same, where the server compares texts by their bytes."""
        return {"course_in_servers_locale": self._course_months("course_in_servers_locale", None)[-1]}

    def _course_months(self, name: str, locale: str | None) -> list[float]:
        source, seconds = self.files.source, list[float]()
        with self.warehouse.fresh(DATABASE, locale) as own, own.connect() as connection:
            course_flow.make_tables(connection, source)
            for number, month in enumerate(months_from(FIRST_MONTH, COURSE_MONTHS)):
                path = self.files.path(REAL, month)
                seconds.append(course_flow.load(connection, source, month, path, self.files.folder))
                if number == 0:
                    self.contents.look(connection, name, course_flow.MAIN, self.scale.rows)
        return seconds

    def pandas(self) -> Measures:
        """Pandas: read_csv in chunks, to_sql."""
        with self.warehouse.fresh(DATABASE) as own, own.connect() as connection:
            seconds = pandas_load.load(own.url("postgresql+psycopg2"), self.files.source, self._month)
            self.contents.look(connection, "pandas", f"public.{pandas_load.TABLE}", self.scale.rows)
        return {"pandas": seconds}

    def dlt(self, disposition: dlt_load.Disposition) -> Measures:
        """Dlt: append, or delete-insert."""
        folder = self._empty("dlt")
        with self.warehouse.fresh(DATABASE) as own, own.connect() as connection:
            seconds = dlt_load.load(own.server, own.name, self.files.source, self._month, folder, disposition)
            table = f"{dlt_load.DATASET}.{dlt_load.TABLE}"
            self.contents.look(connection, f"dlt_{disposition}", table, self.scale.rows)
        shutil.rmtree(folder)
        return {f"dlt_{disposition}": seconds}

    def growth(self) -> Measures:
        """Many months into one table, the first and the last of which are compared."""
        source, seconds = self.files.source, []
        with self.warehouse.fresh(DATABASE) as own, own.connect() as connection:
            taxiway.make_tables(connection, source)
            for month in months_from(FIRST_MONTH, max(self.scale.months, self.scale.side_months)):
                file = self.files.download(REAL, month)
                self.warehouse.query("CHECKPOINT")  # as before the first one
                seconds.append(taxiway.load(connection, source, month, file, "first").total)
        return {
            "first_month": seconds[0],
            "last_month": seconds[self.scale.months - 1],
            "steps_one_by_one": sum(seconds[: self.scale.side_months]),
        }

    def steps_at_once(self) -> Measures:
        """As many months as go side by side, all at once, without Airflow: a thread and a connection each."""
        source, count = self.files.source, self.scale.side_months
        files = {month: self.files.download(REAL, month) for month in months_from(FIRST_MONTH, count)}
        with self.warehouse.fresh(DATABASE) as own, own.connect() as connection:
            taxiway.make_tables(connection, source)

            def load(month: Month) -> None:
                with own.connect() as session:
                    taxiway.load(session, source, month, files[month], "first")

            with ThreadPoolExecutor(count) as threads:
                began = time.perf_counter()
                list(threads.map(load, files))
                seconds = time.perf_counter() - began
            self._require(own, count * self.scale.rows)
        return {"steps_at_once": seconds}

    def disk(self) -> Measures:
        """A month from the mirror to the table, with an eye on the disk, and on the write-ahead log by itself."""
        source, cache = self.files.source, self._empty("disk-cache")
        file_bytes = self._month.stat().st_size
        with self.warehouse.fresh(DATABASE) as own, own.connect() as connection:
            taxiway.make_tables(connection, source)
            folders = own.data_folders()

            def used() -> int:
                beyond_the_file = max(0, folder_bytes(cache) - file_bytes)
                return beyond_the_file + sum(folder_bytes(folder) for folder in folders)

            before, wal_before = used(), own.wal_bytes()
            with PeakWatch(used) as watch:
                fetch = partial(taxiway.download, f"{self.mirror}/{REAL}", source, FIRST_MONTH, cache)
                fetched = taxiway.fetch(connection, source, FIRST_MONTH, "first", fetch)
                assert fetched.file is not None  # noqa: S101 - the mirror has it
                taxiway.load(connection, source, FIRST_MONTH, fetched.file, "first")
            published = used() - before
            wal = own.wal_bytes() - wal_before
        shutil.rmtree(cache)
        beyond = watch.peak - before - published
        return {
            "beyond_mib": beyond / MIB,
            "beyond_with_wal_mib": (beyond + wal) / MIB,
            "published_mib": published / MIB,
            "wal_mib": wal / MIB,
        }

    def curl(self) -> Measures:
        """What curl takes for a big file, and what it takes to test it as the download does."""
        folder = self._empty("curl")
        address = f"{self.mirror}/{TRANSFER}/{self.files.source.file_path(FIRST_MONTH)}"
        began = time.perf_counter()
        subprocess.run(["curl", "--silent", "--show-error", "--fail", "-o", str(folder / "file"), address], check=True)
        seconds = time.perf_counter() - began
        tested = time.perf_counter()
        with (folder / "file").open("rb") as file:
            subprocess.run(["gzip", "--test"], stdin=file, check=True)
        shutil.rmtree(folder)
        return {"curl": seconds, "curl_and_test": time.perf_counter() - tested + seconds}

    def download(self) -> Measures:
        """What Taxiway's download takes for the same file."""
        cache = self._empty("download-cache")
        transfer, verified = taxiway.transfer(f"{self.mirror}/{TRANSFER}", self.files.source, FIRST_MONTH, cache)
        shutil.rmtree(cache)
        return {"transfer": transfer, "download": verified}

    def airflow_month(self) -> Measures:
        """The same month through Airflow."""
        self._serve(REAL)
        seconds = self.airflow.backfill(TAXIWAY_DAG, [FIRST_MONTH])
        with self.warehouse.connect() as connection:
            self.contents.look(connection, "airflow", self._main, self.scale.rows)
            self.contents.look_at_ids(connection, "airflow", self._main)
        return {"airflow_month": seconds, "peak_of_month": self.airflow.peak_mib(TAXIWAY_DAG)}

    def trivial_backfill(self) -> Measures:
        """A backfill of the DAG of four empty tasks."""
        self.airflow.forget()
        seconds = self.airflow.backfill(TRIVIAL_DAG, self._tiny_months)
        return {"trivial_backfill": seconds, "peak_of_empty_task": self.airflow.peak_mib(TRIVIAL_DAG)}

    def tiny_backfill(self) -> Measures:
        """A backfill of as many months of 100 rows."""
        self._serve(TINY)
        seconds = self.airflow.backfill(TAXIWAY_DAG, self._tiny_months)
        self._require(self.warehouse, TINY_ROWS * self.scale.tiny_months)
        return {"tiny_backfill": seconds, "peak_of_100_rows": self.airflow.peak_mib(TAXIWAY_DAG)}

    def backfill(self, name: str, files: str, *, at_once: bool) -> Measures:
        """Four months, side by side or one after another."""
        self._serve(files)
        months = months_from(FIRST_MONTH, self.scale.side_months)
        seconds = self.airflow.backfill(TAXIWAY_DAG, months, max_active_runs=len(months) if at_once else 1)
        self._require(self.warehouse, len(months) * (self.scale.rows if files == REAL else self.scale.small_rows))
        return {name: seconds}

    def _serve(self, name: str) -> None:
        """Let Airflow begin anew, on another set of months."""
        self.airflow.forget()
        self.airflow.use_mirror(f"{self.mirror}/{name}")

    def _require(self, warehouse: Warehouse, rows: int) -> None:
        with warehouse.connect() as connection:
            if (found := taxiway.count_rows(connection, self._main)) != rows:
                raise RuntimeError(f"{self._main} holds {found} rows, expected {rows}")

    @property
    def _tiny_months(self) -> list[Month]:
        return months_from(FIRST_MONTH, self.scale.tiny_months)

    def _empty(self, name: str) -> Path:
        folder = self.warehouse.home.root / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        return folder
