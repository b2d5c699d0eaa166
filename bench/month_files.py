"""The months that are loaded: made once, outside every measurement."""

from __future__ import annotations

import gzip
import multiprocessing
import os
import signal
import threading
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from bench.scale import FIRST_MONTH, TINY_ROWS, Scale, months_from
from taxiway.download.download import Download
from taxiway.files.gzip_file import check_gzip
from taxiway.paths import SOURCES_FOLDER
from taxiway.sources.months import Month
from taxiway.sources.source import Source, load_source
from taxiway_local.samples import write_sample_month

REAL, SMALL, TINY, TRANSFER, REPEATS = "real", "small", "tiny", "transfer", "repeats"
"""Sets of months, each in a folder that is laid out as a mirror is: those of the run's rows, which all share that
load big months; those of a quarter of them, loaded side by side; those that are nothing but orchestration; the one
that is only downloaded; and the one in which a few rows stand twice, from 1000 rows on."""

CORRECTED_EVERY = 100
"""One row of so many differs in the corrected file."""

_CORRECTED_VALUE = b"0.01"  # the last column's, congestion_surcharge: no sample row has this one
_BYTES_A_ROW = 20  # of a compressed sample row, a little less than it takes


@dataclass(frozen=True)
class MonthFiles:
    """The files of a run.

    :param folder: one folder a set in it
    :param source: yellow
    :param corrected: the first month with one row of a hundred changed
    :param corrected_rows: how many rows differ in it
    """

    folder: Path
    source: Source
    corrected: Download
    corrected_rows: int

    def path(self, name: str, month: Month) -> Path:
        """Return where a set has a month's file."""
        return self.folder / name / self.source.file_path(month)

    def download(self, name: str, month: Month) -> Download:
        """Return a month's file as the download step would."""
        return downloaded(self.path(name, month))


@cache
def downloaded(path: Path) -> Download:
    """Describe a file as if it had just been downloaded and verified.

    :param path: of a file that doesn't change any more
    """
    contents = check_gzip(path)
    return Download(
        path=str(path),
        url=f"http://127.0.0.1/{path.name}",
        etag=None,
        last_modified=None,
        size=contents.size,
        sha256=contents.sha256,
        from_cache=False,
        unpacked_bytes=contents.unpacked,
    )


def yellow() -> Source:
    """Return the source that everything is measured with."""
    return load_source(SOURCES_FOLDER / "yellow.yaml")


def write_months(folder: Path, scale: Scale) -> MonthFiles:
    """Make every month that a run needs, on all cores.

    :param folder: where the sets go
    :param scale: how many rows and months
    """
    source = yellow()
    wanted = {
        REAL: (months_from(FIRST_MONTH, scale.files), scale.rows),
        SMALL: (months_from(FIRST_MONTH, scale.side_months), scale.small_rows),
        TINY: (months_from(FIRST_MONTH, scale.tiny_months), TINY_ROWS),
        REPEATS: ([FIRST_MONTH], scale.rows),
        TRANSFER: ([FIRST_MONTH], scale.transfer_bytes // _BYTES_A_ROW),
    }
    with ProcessPoolExecutor(initializer=_end_with_parent) as pool:
        try:
            jobs = [
                pool.submit(
                    write_month, source, month, folder / name / source.file_path(month), rows, repeats=name == REPEATS
                )
                for name, (months, rows) in wanted.items()
                for month in months
            ]
            for job in jobs:
                job.result()
        except BaseException:
            for worker in multiprocessing.active_children():
                worker.terminate()
            pool.shutdown(cancel_futures=True)
            raise
    real = source.file_path(FIRST_MONTH)
    changed = _correct(folder / REAL / real, folder / "corrected" / real)
    return MonthFiles(folder, source, downloaded(folder / "corrected" / real), changed)


def write_month(source: Source, month: Month, path: Path, rows: int, *, repeats: bool = False) -> None:
    """Make a month; unless told otherwise, no row stands in it twice, as in the real files at hand.

    :param path: where the file goes
    :param rows: how many
    :param repeats: whether a few rows stand in it twice
    """
    write_sample_month(source, month, path, rows=rows, repeats=repeats)


def _end_with_parent() -> None:
    """Let a worker end when it is told to, and when its parent is gone: else it would wait for work for ever."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_wait_for_parent, name="end with parent", daemon=True).start()


def _wait_for_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _correct(path: Path, corrected: Path) -> int:
    """Write a file again with one row of a hundred changed, and say how many rows differ."""
    corrected.parent.mkdir(parents=True, exist_ok=True)
    changed = 0
    with gzip.open(path, "rb") as source, gzip.open(corrected, "wb", 4) as target:
        target.write(source.readline())
        for number, line in enumerate(source):
            if number % CORRECTED_EVERY == CORRECTED_EVERY // 2:
                target.write(line.rpartition(b",")[0] + b"," + _CORRECTED_VALUE + b"\n")
                changed += 1
            else:
                target.write(line)
    return changed
