"""The contenders: each loads, reloads or downloads something, and says what it measured."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from bench import rivals
from bench import taxiway_load as taxiway
from bench.contents import Contents
from bench.rounds import Contender
from bench.scale import (
    BIG,
    CORRECTED,
    COURSE_MONTHS,
    FHV,
    FIRST_MONTH,
    REAL,
    SAVED_AGAIN,
    TINY,
    TINY_ROWS,
    TRANSFER,
    Scale,
    as_parquet,
    first_parquet_month,
    months_from,
)
from bench.servers import TAXIWAY_DAG, TRIVIAL_DAG, Airflow, Postgres, folder_bytes, require_durability, watching
from taxiway.download.download import Download
from taxiway.sources.months import Month
from taxiway.sources.source import Source
from taxiway.warehouses.postgres.session import transaction

MIB = 1 << 20

Measures = Mapping[str, float]


@dataclass
class Contenders:
    """Everything that is compared.

    :param mirror: address of the run's mirror
    :param name: of the folder with the sets of months, below that address and in the mirror's folder
    """

    scale: Scale
    postgres: Postgres
    source: Source
    airflow: Airflow
    mirror: str
    name: str

    def __post_init__(self) -> None:
        """Begin with nothing loaded."""
        self.contents = Contents(self.source)
        self._main = f"public.{self.source.main_table}"

    def all(self, *, airflow: bool = True) -> dict[str, Contender]:
        """Return the contenders of the scale by name; each measures once when it is called.

        :param airflow: whether those that Airflow runs are among them
        """
        many: dict[str, Contender] = {"many months": self.growth, "disk": self.disk}
        if self.scale.name == "year":
            return many
        rows, side, tiny = self.scale.rows, self.scale.side_months, self.scale.tiny_months
        backfills = {
            "airflow_month": (TAXIWAY_DAG, REAL, 1, rows, 1, "peak_of_month"),
            "trivial_backfill": (TRIVIAL_DAG, TINY, tiny, 0, 4, "peak_of_empty_task"),
            "tiny_backfill": (TAXIWAY_DAG, TINY, tiny, TINY_ROWS, 4, "peak_of_100_rows"),
            "four_at_once": (TAXIWAY_DAG, REAL, side, rows, side, "peak_at_once"),
            "one_by_one": (TAXIWAY_DAG, REAL, side, rows, 1, "peak_one_by_one"),
            "big_parquet": (TAXIWAY_DAG, BIG, 1, self.scale.big_rows, 1, "peak_of_parquet"),
        }
        return {
            **{name: partial(self.one_go, name) for name in rivals.ONE_GO},
            "steps": self.steps,
            "rejects": self.rejects,
            "parquet": self.parquet,
            "fhv": self.fhv,
            "course": self.course,
            "curl": self.curl,
            "download": self.download,
            **many,
            **{name: partial(self.backfill, name, *how) for name, how in backfills.items() if airflow},
        }

    def one_go(self, name: str) -> Measures:
        """One of those that load a file in one go: COPY, pandas, dlt."""
        table, load = rivals.ONE_GO[name]
        with self._folder() as folder, self.postgres.fresh() as own:
            seconds = load(own, self.source, self._path(FIRST_MONTH), folder)
            with own.connect() as connection:
                self.contents.look(connection, name, table, self.scale.rows)
        return {name: seconds}

    def steps(self) -> Measures:
        """A first load, a reload of the same bytes, a reload of a corrected file."""
        file, changed = self._download(REAL), self.scale.corrected_rows
        corrected = self._download(CORRECTED)
        with self.postgres.fresh() as own, own.connect() as connection:
            with transaction(connection):  # with the settings of the steps
                require_durability(connection)
            _, first = taxiway.load(connection, self.source, FIRST_MONTH, file)
            self.contents.look(connection, "steps", self._main, self.scale.rows)
            self.contents.look_at_ids(connection, "steps", self._main)
            self.postgres.query("CHECKPOINT")
            began = time.perf_counter()
            fetched = taxiway.fetch(connection, self.source, FIRST_MONTH, "unchanged", self._download)
            unchanged = time.perf_counter() - began
            counts, again = taxiway.load(connection, self.source, FIRST_MONTH, corrected, "corrected")
        if fetched.nothing_to_do is None or (counts.inserted, counts.deleted) != (changed, changed):
            raise RuntimeError(f"reloads went wrong: {fetched}, {counts}, expected {changed} rows to change")
        return {
            **first,
            "steps": sum(first.values()),
            "reload_unchanged": unchanged,
            "reload_corrected": sum(again.values()),
        }

    def rejects(self) -> Measures:
        """First loads by steps that trust every row, and by those that don't: two each, one pair within the other.

        They differ by less than a machine does from one moment to the next.
        """
        with_, without = "steps_with_rejects", "steps_without_rejects"
        seconds = dict.fromkeys((with_, without), 0.0)
        for name in (without, with_, with_, without):
            with taxiway.trusting(self.scale.rows) if name == without else nullcontext():
                seconds[name] += self._first_load(self.contents, name, self.source) / 2
        return seconds

    def parquet(self) -> Measures:
        """A month as Parquet, after a bare COPY of the same rows as CSV."""
        copied = self._copy(self.source)
        return {
            "parquet_copy": copied,
            "parquet_steps": self._first_load(self.contents, "parquet", as_parquet(self.source)),
        }

    def fhv(self) -> Measures:
        """A month with text columns: a bare COPY, the steps, and the steps of the file that a tool saved again."""
        contents = Contents(FHV)
        return {
            "fhv_copy": self._copy(FHV),
            "fhv_steps": self._first_load(contents, "fhv", FHV),
            "saved_again_steps": self._first_load(contents, "saved again", FHV, SAVED_AGAIN),
        }

    def course(self) -> Measures:
        """The course's flow: three months in a row, the last one counts."""
        seconds = []
        locale = rivals.course_locale(self.postgres)
        with self._folder() as folder, self.postgres.fresh(locale) as own, own.connect() as connection:
            rivals.make_course_tables(connection, self.source)
            for month in months_from(FIRST_MONTH, COURSE_MONTHS):
                seconds.append(rivals.load_course(connection, self.source, month, self._path(month), folder))
                if month == FIRST_MONTH:
                    self.contents.look(connection, "course", rivals.COURSE, self.scale.rows)
        return {"course_third_month": seconds[-1]}

    def growth(self) -> Measures:
        """Many months into one table: the first and the last, which are compared, and what all of them took."""
        months, seconds = months_from(FIRST_MONTH, self.scale.months), list[float]()
        files = [self._download(REAL, month) for month in months]
        with self.postgres.fresh() as own, own.connect() as connection:

            def taken() -> dict[str, float]:
                sizes = {"many_published_mib": folder_bytes(*folders), "many_wal_mib": own.wal_bytes()}
                cpu = {"many_server_cpu": own.cpu_seconds(), "many_client_cpu": time.process_time()}
                return {**{name: size / MIB for name, size in sizes.items()}, **cpu}

            taxiway.make_tables(connection, self.source)
            folders = own.data_folders()
            before = taken()
            for month, file in zip(months, files, strict=True):
                own.query("CHECKPOINT")  # as before the first one
                seconds.append(sum(taxiway.load(connection, self.source, month, file)[1].values()))
            all_of_them = {name: value - before[name] for name, value in taken().items()}
            self._require(own, self.scale.rows * self.scale.months)
        return {"first_month": seconds[0], "last_month": seconds[-1], "many_months": sum(seconds), **all_of_them}

    def disk(self) -> Measures:
        """A month from the mirror to the table, with an eye on the disk."""
        file_bytes = self._path(FIRST_MONTH).stat().st_size
        with self._folder() as cache, self.postgres.fresh() as own, own.connect() as connection:
            taxiway.make_tables(connection, self.source)
            folders = own.data_folders()

            def used() -> int:
                return max(0, folder_bytes(cache) - file_bytes) + folder_bytes(*folders)

            before = used()
            with watching(used) as peak:
                fetch = partial(self._download, cache=cache)
                fetched = taxiway.fetch(connection, self.source, FIRST_MONTH, "first", fetch)
                assert fetched.file is not None  # noqa: S101 - the mirror has it
                taxiway.load(connection, self.source, FIRST_MONTH, fetched.file)
            published = used() - before
        beyond = peak[0] - before - published
        return {"beyond_mib": beyond / MIB, "published_mib": published / MIB}

    def curl(self) -> Measures:
        """What curl takes for a big file."""
        address = f"{self._address(TRANSFER)}/{self.source.file_path(FIRST_MONTH)}"
        with self._folder() as folder:
            began = time.perf_counter()
            subprocess.run(["curl", "--silent", "--show-error", "--fail", "-O", address], cwd=folder, check=True)
            return {"curl": time.perf_counter() - began}

    def download(self) -> Measures:
        """What Taxiway's download takes for the same file."""
        with self._folder() as cache:
            seconds = taxiway.transfer(self._address(TRANSFER), self.source, FIRST_MONTH, cache)
        return dict(zip(("transfer", "download"), seconds, strict=True))

    def backfill(self, name: str, dag_id: str, files: str, months: int, rows: int, at_once: int, peak: str) -> Measures:
        """Some months through Airflow, by ``airflow dags backfill``.

        :param rows: of each month; 0 if the DAG loads none
        :param peak: what the peak memory of its tasks is called
        """
        self.airflow.forget(self._address(files))
        first = first_parquet_month(self.source) if files == BIG else FIRST_MONTH
        seconds = self.airflow.backfill(dag_id, months_from(first, months), at_once)
        if rows:
            self._require(self.postgres, rows * months)
        if name == "airflow_month":
            with self.postgres.connect() as connection:
                self.contents.look(connection, "airflow", self._main, rows)
                self.contents.look_at_ids(connection, "airflow", self._main)
        return {name: seconds, peak: self.airflow.peak_mib(dag_id)}

    def _copy(self, source: Source) -> float:
        """Return the seconds of a bare COPY of a source's first month."""
        with self._folder() as folder, self.postgres.fresh() as own:
            seconds = rivals.copy_bare(own, source, self._path(FIRST_MONTH, source), folder)
            self._require(own, self.scale.rows, rivals.BARE)
        return seconds

    def _first_load(self, contents: Contents, name: str, source: Source, files: str = REAL) -> float:
        """Return the seconds of the steps of a source's first month, whose ids are those of the loads before."""
        file, table = self._download(files, source=source), f"public.{source.main_table}"
        with self.postgres.fresh() as own, own.connect() as connection:
            _, seconds = taxiway.load(connection, source, FIRST_MONTH, file)
            contents.look_at_ids(connection, name, table)
            self._require(own, self.scale.rows, table)
        return sum(seconds.values())

    def _address(self, files: str) -> str:
        return f"{self.mirror}/{self.name}/{files}"

    def _path(self, month: Month, source: Source | None = None) -> Path:
        return self.postgres.home.root / "months" / self.name / REAL / (source or self.source).file_path(month)

    def _download(
        self, files: str = REAL, month: Month = FIRST_MONTH, cache: Path | None = None, source: Source | None = None
    ) -> Download:
        cache = cache or self.postgres.home.root / "downloads"
        return taxiway.download(self._address(files), source or self.source, month, cache)

    def _require(self, postgres: Postgres, rows: int, table: str = "") -> None:
        table = table or self._main
        ((found,),) = postgres.query(f"SELECT count(*) FROM {table}", postgres.name)
        if found != rows:
            raise RuntimeError(f"{table} holds {found} rows, expected {rows}")

    @contextmanager
    def _folder(self) -> Iterator[Path]:
        """An empty folder in the run's home, while the block runs."""
        folder = self.postgres.home.root / "contender"
        folder.mkdir()
        yield folder
        shutil.rmtree(folder)
