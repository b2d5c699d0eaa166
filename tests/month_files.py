"""A month's files, made up, and the calls that fetch them in tests."""

from __future__ import annotations

import gzip
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import requests

from taxiway.download.cache import Cache
from taxiway.download.download import Download, download_month
from taxiway.paths import ROOT, SOURCES_FOLDER
from taxiway.sources.months import Month
from taxiway.sources.source import Source, load_source
from tests.mirror_faults import FaultyMirror
from tests.releases import on_mirror

GREEN = on_mirror(load_source(SOURCES_FOLDER / "green.yaml"))
MONTH = Month(2019, 3)
PATH = "/" + GREEN.file_path(MONTH)


def month_file(rows: int = 2000, seed: int = 1) -> bytes:
    """A sound file of about 20 bytes a row, which doesn't get much smaller by compression."""
    numbers = random.Random(seed)
    lines = (f"{numbers.getrandbits(64):x},{numbers.getrandbits(64):x}\r\n" for _ in range(rows))
    return gzip.compress(("VendorID,trip_distance\r\n" + "".join(lines)).encode(), mtime=0)


def fetch(
    mirror: FaultyMirror,
    cache: Cache,
    *,
    hosts: tuple[str, ...] = (),
    max_file_size: int = GREEN.max_file_size,
    max_unpacked_size: int = GREEN.max_unpacked_size,
    **options: object,
) -> Download:
    """Fetch green 2019-03 with a session of its own."""
    source: Source = replace(
        GREEN, allowed_redirect_hosts=hosts, max_file_size=max_file_size, max_unpacked_size=max_unpacked_size
    )
    with requests.Session() as session:
        return download_month(session, mirror.url, source, MONTH, cache, **options)  # type: ignore[arg-type]


def files_below(folder: Path) -> set[str]:
    """The endings of what lies in a cache: ``""`` is the file itself; lock files are left out."""
    name = GREEN.download_name(MONTH)
    return {
        path.name.removeprefix(name) for path in folder.rglob("*") if path.is_file() and not path.name.endswith(".lock")
    }


FETCH_SCRIPT = """
import json, logging, sys
from pathlib import Path
import requests
from taxiway.download.cache import Cache
from taxiway.download.download import download_month
from taxiway.sources.months import Month
from taxiway.paths import SOURCES_FOLDER
from taxiway.sources.source import load_source
logging.basicConfig(stream=sys.stdout, level=logging.INFO, format="%(message)s")
source = load_source(SOURCES_FOLDER / "green.yaml")
done = download_month(requests.Session(), sys.argv[1], source, Month(2019, 3), Cache(Path(sys.argv[2]), 10**9))
print(json.dumps(done.to_dict()))
"""


@contextmanager
def fetch_in_process(mirror: FaultyMirror, cache: Cache) -> Iterator[subprocess.Popen[str]]:
    """Fetch green 2019-03 in a process that prints its log, then the result as one line of JSON, and ends with us."""
    with subprocess.Popen(
        [sys.executable, "-u", "-c", FETCH_SCRIPT, mirror.url, str(cache.folder)],
        stdout=subprocess.PIPE,
        text=True,
        env={"PYTHONPATH": str(ROOT / "plugins")},
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def wait_for_part(cache: Cache) -> Path:
    """Wait until a transfer has written bytes."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        for path in cache.folder.rglob("*.part"):
            if path.stat().st_size > 0:
                return path
        time.sleep(0.01)
    raise AssertionError(f"no transfer below {cache.folder}")
