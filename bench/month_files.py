"""The months that are loaded: made once, outside every measurement, and served by a mirror of its own process."""

from __future__ import annotations

import gzip
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.scale import COURSE_MONTHS, FIRST_MONTH, TINY_ROWS, Scale, months_from
from taxiway.core.download import Download
from taxiway.core.gzip_file import check_gzip
from taxiway.core.months import Month
from taxiway.core.paths import SOURCES_FOLDER
from taxiway.core.sources import Source, load_source
from taxiway.local.samples import write_sample_month

SETS = ("real", "growth", "side", "tiny", "transfer")
"""Sets of months, each in a folder that is laid out as a mirror is."""

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


def downloaded(path: Path) -> Download:
    """Describe a file as if it had just been downloaded and verified."""
    contents = check_gzip(path)
    return Download(
        path=str(path),
        url=f"http://127.0.0.1/{path.name}",
        etag=None,
        last_modified=None,
        size=contents.size,
        sha256=contents.sha256,
        from_cache=False,
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
        "real": (months_from(FIRST_MONTH, COURSE_MONTHS), scale.rows),
        "growth": (months_from(FIRST_MONTH, scale.months), scale.growth_rows),
        "side": (months_from(FIRST_MONTH, scale.side_months), scale.side_rows),
        "tiny": (months_from(FIRST_MONTH, scale.tiny_months), TINY_ROWS),
        "transfer": ([FIRST_MONTH], scale.transfer_bytes // _BYTES_A_ROW),
    }
    with ProcessPoolExecutor() as pool:
        jobs = [
            pool.submit(write_sample_month, source, month, folder / name / source.file_path(month), rows=rows)
            for name, (months, rows) in wanted.items()
            for month in months
        ]
        for job in jobs:
            job.result()
    real = source.file_path(FIRST_MONTH)
    changed = _correct(folder / "real" / real, folder / "corrected" / real)
    return MonthFiles(folder, source, downloaded(folder / "corrected" / real), changed)


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


@contextmanager
def mirror(folder: Path) -> Iterator[str]:
    """Serve a folder on the loopback address, in a process of its own, while the block runs.

    :return: its address
    """
    command: Sequence[str] = (sys.executable, "-m", "taxiway.local.mirror", "--folder", str(folder), "--quiet")
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None  # noqa: S101 - asked for above
        address = process.stdout.readline().strip()
        if not address:
            raise RuntimeError(f"the mirror of {folder} did not start")
        yield address
    finally:
        process.terminate()
        process.wait(30)
        if process.stdout is not None:
            process.stdout.close()
