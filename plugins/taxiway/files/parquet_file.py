"""The format ``parquet``: its rows are streamed as CSV, batch by batch.

Arrow is imported when a file is read, because it takes time and memory that no other format needs.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from taxiway.files import file_kinds
from taxiway.files.arrow_memory import take_little_memory
from taxiway.files.file_format import CheckBrokenOffError, Digest, FileContents, FileFaultError, UnpackedSizeError
from taxiway.files.file_kinds import Kind
from taxiway.messages import quoted
from taxiway.sources.source import Layout

_MAGIC = b"PAR1"
_ENCRYPTED = b"PARE"
# What a Parquet file begins and ends with.

_OTHER_FORMAT = (
    "The release's format is parquet: correct 'path' and 'format' in the source's YAML file, or have the mirror serve "
    "Parquet"
)

_LITTLE_ADDRESS_SPACE = {"ARROW_DEFAULT_MEMORY_POOL": "system", "OPENBLAS_NUM_THREADS": "1"}
# Arrow's other allocators reserve much more than they use. So does numpy, which Arrow imports, for each core.

_PLUGINS = Path(__file__).parents[2]

_CRASHES = (signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGFPE, signal.SIGILL)
# Signals that a process gets for what it does itself. Any other one comes from outside.

_SMALLEST = 12
# Bytes that a file has at least: the magic twice, and the length of its footer.


class ParquetFile:
    """Reads Parquet files, in the memory of a few batches, however large their row groups are.

    Arrow's reader is meant for files that are sound. So the first look at a downloaded file is that of a process of its
    own: if the reader crashes, or asks for too much memory, that process ends, and the file is refused.
    """

    sound = "a whole Parquet file that isn't encrypted"
    content_type = "application/vnd.apache.parquet"
    is_csv = False
    proves_whole = True

    def other_kind(self, head: bytes, content_type: str) -> Kind | None:
        """Say what a file is that isn't Parquet."""
        if head.startswith(_ENCRYPTED):
            return Kind("an encrypted Parquet file", "Have the mirror serve the file without encryption")
        if head and _MAGIC.startswith(head[:4]):
            return None
        kind = file_kinds.describe_body(head, content_type)
        return Kind(kind.name, kind.advice if not head or file_kinds.is_html(head) else _OTHER_FORMAT, kind.detail)

    def check(self, path: Path, *, limit: int | None = None) -> FileContents:
        """Read a file from end to end, in a process of its own."""
        self._check_ends(path)
        done = subprocess.run(
            [sys.executable, "-m", "taxiway.files.parquet_blocks", str(path.absolute()), str(limit or 0)],
            env={**os.environ, **_LITTLE_ADDRESS_SPACE, "PYTHONPATH": _python_path()},
            cwd=_PLUGINS,  # -m looks for modules there first: a json.py where the task runs is none of ours
            capture_output=True,
            check=False,
        )
        if -done.returncode in _CRASHES:
            name = _signal_name(-done.returncode)
            raise FileFaultError(f"a damaged Parquet file, at which its reader ended with {name}")
        if done.returncode < 0:
            raise CheckBrokenOffError(f"that {_signal_name(-done.returncode)} ended the process that checks the file")
        if done.returncode:
            said = quoted(done.stderr.decode(errors="replace").strip().rpartition("\n")[2])
            raise CheckBrokenOffError(f"that the process that checks the file failed ({said})")
        found = json.loads(done.stdout)
        if "fault" in found:
            raise FileFaultError(found["fault"])
        if "too_large" in found:
            size, unpacked = found["too_large"]
            raise UnpackedSizeError(size, unpacked, "a Parquet file")
        return FileContents(path.stat().st_size, found["sha256"], found["unpacked"], b"")

    def declared_types(self, path: Path) -> Mapping[str, str]:
        """Return the types of a file's schema; a column of nulls has none."""
        take_little_memory()
        from taxiway.files.parquet_blocks import declared_types

        return declared_types(path)

    def blocks(
        self, path: Path, layout: Layout, digest: Digest | None = None, *, limit: int | None = None
    ) -> Iterator[bytes]:
        """Yield a file's rows as CSV, in its own order; its header has the names of the columns."""
        take_little_memory()
        from taxiway.files.parquet_blocks import csv_blocks

        types = {spelling: column.type for column in layout.columns for spelling in column.spellings}
        return csv_blocks(path, types, digest, limit=limit)

    def typed_lines(
        self, path: Path, columns: Sequence[tuple[int, str]], digest: Digest | None = None, *, limit: int | None = None
    ) -> Iterator[bytes]:
        """Yield the rows of a file whose values all have the types of their columns."""
        take_little_memory()
        from taxiway.files.parquet_blocks import typed_lines

        return typed_lines(path, columns, digest, limit=limit)

    def _check_ends(self, path: Path) -> None:
        """Look at a file's first and last bytes.

        :raises FileFaultError: it is of another format, encrypted, or cut off
        """
        size = path.stat().st_size
        with path.open("rb") as file:
            head = file.read(_SMALLEST)
            file.seek(max(0, size - len(_MAGIC)))
            end = file.read()
        if (kind := self.other_kind(head, "")) is not None:
            raise FileFaultError(kind.described)
        if end == _ENCRYPTED:
            raise FileFaultError("an encrypted Parquet file")
        if size < _SMALLEST or end != _MAGIC:
            raise FileFaultError(
                f"a Parquet file that breaks off after {size} bytes, before its footer", truncated=True
            )


def _python_path() -> str:
    given = os.environ.get("PYTHONPATH")
    return os.pathsep.join([str(_PLUGINS), given] if given else [str(_PLUGINS)])


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # a real-time signal
        return f"signal {number}"
