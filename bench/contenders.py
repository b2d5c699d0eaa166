"""The contenders: each loads, reloads or downloads something, and says what it measured."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from statistics import median

from bench import rivals
from bench import taxiway_load as taxiway
from bench.contents import Contents
from bench.rounds import Contender, Measures
from bench.scale import (
    BIG,
    CORRECTED,
    COURSE_MONTHS,
    FHV,
    FIRST_MONTH,
    PARQUET,
    REAL,
    SAVED_AGAIN,
    TINY,
    TINY_ROWS,
    TRANSFER,
    YELLOW,
    Files,
    Scale,
)
from bench.servers import TAXIWAY_DAG, TRIVIAL_DAG, Airflow, Postgres, folder_bytes, watching
from taxiway.download.download import Download
from taxiway.loads.month import download_month
from taxiway.sources.months import Month

MIB = 1 << 20


@dataclass
class Contenders:
    """Everything that is compared.

    :param months: the folder with the sets of months
    :param mirror: address of the mirror that serves it
    :param contents: of all tables so far, by the source's name
    """

    scale: Scale
    postgres: Postgres
    airflow: Airflow
    months: Path
    mirror: str
    contents: dict[str, Contents] = field(
        default_factory=lambda: {files.source.name: Contents(files.source) for files in (REAL, FHV)}
    )

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
            **{name: partial(self.one_go, name, name) for name in rivals.ONE_GO},
            "steps": self.steps,
            "rejects": self.rejects,
            "parquet": partial(self.beside_copy, "parquet_copy", REAL, {"parquet_steps": PARQUET}),
            "fhv": partial(self.beside_copy, "fhv_copy", FHV, {"fhv_steps": FHV, "saved_again_steps": SAVED_AGAIN}),
            "course": self.course,
            "curl": self.curl,
            "download": self.download,
            **many,
            **{name: partial(self.backfill, name, *how) for name, how in backfills.items() if airflow},
        }

    def one_go(self, name: str, rival: str, files: Files = REAL) -> Measures:
        """Load a file by one of those that do so in one go: COPY, pandas, dlt."""
        table, load = rivals.ONE_GO[rival]
        with self._folder() as folder, self.postgres.fresh() as own:
            seconds = load(own, files.source, self.months / files.path(), folder)
            self._look(own, name, files, table)
        return {name: seconds}

    def first_load(self, name: str, files: Files) -> Measures:
        """Load a file by the steps."""
        file = self._download(files)
        with self.postgres.fresh() as own, own.connect() as connection:
            _, seconds = taxiway.load(taxiway.warehouse(connection, files.source, FIRST_MONTH), file)
            self._look(own, name, files)
        return {name: sum(seconds.values())}

    def steps(self) -> Measures:
        """A first load, a reload of the same bytes, a reload of a corrected file."""
        file, corrected, changed = self._download(REAL), self._download(CORRECTED), self.scale.corrected_rows
        with self.postgres.fresh() as own, own.connect() as connection:
            first, unchanged, again = (
                taxiway.warehouse(connection, YELLOW, FIRST_MONTH, run) for run in ("first", "unchanged", "corrected")
            )
            _, seconds = taxiway.load(first, file)
            self._look(own, "steps", REAL)
            self.postgres.query("CHECKPOINT")
            began = time.perf_counter()
            fetched = download_month(unchanged, partial(self._download, REAL))
            reload_unchanged = time.perf_counter() - began
            counts, reload_corrected = taxiway.load(again, corrected)
        if fetched.nothing_to_do is None or (counts.inserted, counts.deleted) != (changed, changed):
            raise RuntimeError(f"reloads went wrong: {fetched}, {counts}, expected {changed} rows to change")
        of_reloads = {"reload_unchanged": reload_unchanged, "reload_corrected": sum(reload_corrected.values())}
        return {**seconds, "steps": sum(seconds.values()), **of_reloads}

    def rejects(self) -> Measures:
        """First loads by steps that trust every row, and by those that don't: two each, one pair within the other.

        They differ by less than a machine does from one moment to the next.
        """
        with_, without = "steps_with_rejects", "steps_without_rejects"
        seconds = dict.fromkeys((with_, without), 0.0)
        for name in (without, with_, with_, without):
            with taxiway.trusting(self.scale.rows) if name == without else nullcontext():
                seconds[name] += self.first_load(name, REAL)[name] / 2
        return seconds

    def beside_copy(self, name: str, files: Files, by_steps: dict[str, Files]) -> Measures:
        """First loads by the steps, between two of a bare COPY: a machine differs from one moment to the next.

        :param name: what the mean of both is called
        :param files: that COPY loads
        :param by_steps: that the steps load, by the names of what they take
        """
        measured = self.one_go(name, "copy", files)
        for steps in by_steps.items():
            measured |= self.first_load(*steps)
        return measured | {name: (measured[name] + self.one_go(name, "copy", files)[name]) / 2}

    def course(self) -> Measures:
        """The course's flow: three months in a row, the last one counts."""
        locale, seconds = rivals.course_locale(self.postgres), 0.0
        with self._folder() as folder, self.postgres.fresh(locale) as own, own.connect() as connection:
            rivals.make_course_tables(connection, YELLOW)
            for month in REAL.months(COURSE_MONTHS):
                seconds = rivals.load_course(connection, YELLOW, month, self.months / REAL.path(month), folder)
                if month == FIRST_MONTH:
                    self._look(own, "course", REAL, rivals.COURSE)
        return {"course_third_month": seconds}

    def growth(self) -> Measures:
        """Many months into one table: the first and the last few, which are compared, and what all of them took."""
        months, seconds = REAL.months(self.scale.months), list[float]()
        downloads = {month: self._download(REAL, month) for month in months}
        with self.postgres.fresh() as own, own.connect() as connection:

            def taken() -> dict[str, float]:
                sizes = {"many_published_mib": folder_bytes(*folders), "many_wal_mib": own.wal_bytes()}
                cpu = {"many_server_cpu": own.cpu_seconds(), "many_client_cpu": time.process_time()}
                return {**{name: size / MIB for name, size in sizes.items()}, **cpu}

            taxiway.warehouse(connection, YELLOW, FIRST_MONTH).prepare()
            folders = own.data_folders()
            before = taken()
            for month, file in downloads.items():
                own.query("CHECKPOINT")  # as before the first one
                _, taken_by = taxiway.load(taxiway.warehouse(connection, YELLOW, month), file)
                seconds.append(sum(taken_by.values()))
            all_of_them = {name: value - before[name] for name, value in taken().items()}
            self._require(own, self.scale.rows * self.scale.months)
        few = min(3, len(months) // 2)  # autovacuum may begin in one of them
        ends = {"first_month": median(seconds[:few]), "last_month": median(seconds[-few:])}
        return {**ends, "many_months": sum(seconds), **all_of_them}

    def disk(self) -> Measures:
        """A month from the mirror to the table, with an eye on the disk."""
        file_bytes = (self.months / REAL.path()).stat().st_size
        with self._folder() as cache, self.postgres.fresh() as own, own.connect() as connection:
            warehouse = taxiway.warehouse(connection, YELLOW, FIRST_MONTH)
            warehouse.prepare()
            folders = own.data_folders()

            def used() -> int:
                return max(0, folder_bytes(cache) - file_bytes) + folder_bytes(*folders)

            before = used()
            with watching(used) as sizes:
                fetched = download_month(warehouse, partial(self._download, REAL, cache=cache))
                assert fetched.file is not None  # noqa: S101 - the mirror has it
                taxiway.load(warehouse, fetched.file)
            published = used() - before
        beyond = max(sizes) - before - published
        return {"beyond_mib": beyond / MIB, "published_mib": published / MIB}

    def curl(self) -> Measures:
        """What curl takes for a big file."""
        with self._folder() as folder:
            began = time.perf_counter()
            command = ["curl", "--silent", "--show-error", "--fail", "-O", f"{self.mirror}/{TRANSFER.path()}"]
            subprocess.run(command, cwd=folder, check=True)
            return {"curl": time.perf_counter() - began}

    def download(self) -> Measures:
        """What Taxiway takes for the same file: until the last byte is written, and until it is verified."""
        with self._folder() as cache:
            last_byte, verified = taxiway.transfer(f"{self.mirror}/{TRANSFER.name}", YELLOW, FIRST_MONTH, cache)
        return {"transfer": last_byte, "download": verified}

    def backfill(
        self, name: str, dag_id: str, files: Files, months: int, rows: int, at_once: int, peak: str
    ) -> Measures:
        """Some months through Airflow, by ``airflow dags backfill``.

        :param rows: of each month; 0 if the DAG loads none
        :param peak: what the peak memory of its tasks is called
        """
        self.airflow.forget(f"{self.mirror}/{files.name}")
        seconds = self.airflow.backfill(dag_id, files.months(months), at_once)
        if name == "airflow_month":
            self._look(self.postgres, "airflow", REAL)
        elif rows:
            self._require(self.postgres, rows * months)
        return {name: seconds, peak: self.airflow.peak_mib(dag_id)}

    def _download(self, files: Files, month: Month = FIRST_MONTH, cache: Path | None = None) -> Download:
        cache = cache or self.postgres.home.root / "downloads"
        return taxiway.download(f"{self.mirror}/{files.name}", files.source, month, cache)

    def _look(self, postgres: Postgres, name: str, files: Files, table: str = "") -> None:
        """Compare a table with the other contenders' ones; without a name, it is the main table, with its ids."""
        contents, main = self.contents[files.source.name], f"public.{files.source.main_table}"
        with postgres.connect() as connection:
            contents.look(connection, name, table or main, self.scale.rows, ids=not table)

    def _require(self, postgres: Postgres, rows: int) -> None:
        ((found,),) = postgres.query(f"SELECT count(*) FROM public.{YELLOW.main_table}", postgres.name)
        if found != rows:
            raise RuntimeError(f"{YELLOW.main_table} holds {found} rows, expected {rows}")

    @contextmanager
    def _folder(self) -> Iterator[Path]:
        """An empty folder in the run's home, while the block runs."""
        folder = self.postgres.home.root / "contender"
        folder.mkdir()
        yield folder
        shutil.rmtree(folder)
