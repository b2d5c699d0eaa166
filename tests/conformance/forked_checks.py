"""Runs the program that checks a Parquet file in forks of one process, which has imported what it needs.

So a hundred files take seconds: importing Arrow takes longer than checking a small file.
"""

from __future__ import annotations

import importlib
import json
import os
import runpy
import subprocess
import sys
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest

from taxiway.files import parquet_file

PROGRAM = "taxiway.files.parquet_blocks"


class ForkedChecks:
    """A process that runs the program when it is told to."""

    def __init__(self) -> None:
        """Start it with the first file: only then is its environment known."""
        self._server: subprocess.Popen[str] | None = None

    def run(
        self, command: Sequence[str], *, env: Mapping[str, str], cwd: Path, **_: object
    ) -> subprocess.CompletedProcess[bytes]:
        """Do what ``subprocess.run`` does with the program."""
        *_, option, program, path, limit = command
        assert (option, program) == ("-m", PROGRAM)
        if self._server is None:
            own = [sys.executable, str(Path(__file__))]
            pipe = subprocess.PIPE
            self._server = subprocess.Popen(own, stdin=pipe, stdout=pipe, text=True, env=env, cwd=cwd)
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        print(json.dumps([path, limit]), file=self._server.stdin, flush=True)
        code, said = json.loads(self._server.stdout.readline())
        return subprocess.CompletedProcess(command, code, said.encode(), b"")

    def close(self) -> None:
        """End the process."""
        if self._server is not None:
            self._server.communicate()


@contextmanager
def forked_checks() -> Iterator[None]:
    """Have files checked by forks."""
    checks = ForkedChecks()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parquet_file, "subprocess", SimpleNamespace(run=checks.run))
        try:
            yield
        finally:
            checks.close()


def _check(path: str, limit: str) -> tuple[int, str]:
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.dup2(writing, 1)
            sys.argv = [PROGRAM, path, limit]
            runpy.run_module(PROGRAM, run_name="__main__")
            sys.stdout.flush()
            os._exit(0)
        except BaseException:
            traceback.print_exc()
        os._exit(1)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        said = pipe.read()
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), said


def _main() -> None:
    for module in ("pyarrow.compute", "pyarrow.csv", "pyarrow.parquet", "taxiway.files.parquet_text"):
        importlib.import_module(module)  # what the program needs

    for line in sys.stdin:
        print(json.dumps(_check(*json.loads(line))), flush=True)


if __name__ == "__main__":
    _main()
