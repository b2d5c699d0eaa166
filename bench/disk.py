"""How much disk a run takes: looked for before it begins, so that no measuring is lost."""

from __future__ import annotations

import shutil
from pathlib import Path

from rich.console import Console

BYTES_A_ROW = 260
"""What a published row takes up with its part of the index, and a little more; a staged one takes no more."""

FILE_BYTES_A_ROW = 25
"""What a row takes up in the compressed file."""

WAL_BYTES = 6 << 30
"""What the server may keep of its write-ahead log: ``max_wal_size`` is 4 GB, and it may run over."""

HOME_BYTES = 256 << 20
"""What a server, and an Airflow with its logs, take up whatever they load."""

GIB = 1 << 30


def needed(rows: int, months: int, files: int, written: int) -> int:
    """Return the disk that a run takes at its peak: months published, one more staged, the files, the log.

    :param rows: of each month
    :param months: published at the same time
    :param files: of as many months, there at the same time
    :param written: how many months are written in the whole run, as a limit of the log
    :return: bytes
    """
    log = min(WAL_BYTES, written * rows * BYTES_A_ROW)
    return rows * ((months + 1) * BYTES_A_ROW + files * FILE_BYTES_A_ROW) + log + HOME_BYTES


def is_enough(folder: Path, size: int, console: Console) -> bool:
    """Say how much disk is needed and free, and whether that is enough.

    :param folder: on the disk in question; made where it is absent
    :param size: in bytes
    """
    folder.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(folder).free
    console.print(
        f"Needs about {size / GIB:.1f} GiB of disk in {folder}; {free / GIB:.1f} GiB are free.", soft_wrap=True
    )
    if size > free:
        console.print(
            "That is not enough: take fewer rows or months, or a folder on another disk (python -m bench --folder …).",
            style="red",
        )
    return size <= free
