"""Serves a folder of months as a mirror, until whoever started it is gone, killed or not."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """Serve a folder on the loopback address, in a process of its own, while the block runs.

    :param folder: laid out as the mirror
    :return: its address
    """
    command = (sys.executable, "-m", "bench.mirror", str(folder))
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None  # noqa: S101 - asked for above
        address = process.stdout.readline().strip()
        if not address:
            raise RuntimeError(f"the mirror of {folder} did not start")
        yield address
    finally:
        process.terminate()
        process.communicate()


def main() -> None:
    """Serve the folder that the command line names until the standard input ends."""
    from taxiway_local.mirror_server import serve

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to all; the one who started it ends it
    with serve(Path(sys.argv[1])) as mirror:
        print(mirror.address, flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
