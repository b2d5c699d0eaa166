"""Sets the local installation up: settings, embedded Postgres, Airflow's metadata, connections.

Every part is made only if it is absent, so a second call is quick and changes
nothing that a person has edited.
"""

from __future__ import annotations

import configparser
import hashlib
import json
import os
import re
import secrets
import subprocess
import sys
import tempfile
import unicodedata
from base64 import urlsafe_b64encode
from pathlib import Path

import psycopg
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from taxiway.download.mirror_address import shown_address
from taxiway.errors import SettingError
from taxiway.paths import ROOT
from taxiway.program import PROGRAM_VARIABLE
from taxiway_local import database
from taxiway_local.env_file import read_assignments
from taxiway_local.exits import end
from taxiway_local.home import Home

DEFAULT_MIRROR = "https://github.com/DataTalksClub/nyc-tlc-data/releases/download"
"""The course's mirror of the TLC files."""

OFFICIAL_ADDRESS = "https://d37ci6vzurychx.cloudfront.net"
"""The TLC's own address of its files."""

ADDRESSES = {
    "tlc_mirror": (DEFAULT_MIRROR, "Base address of the TLC files: <host>/green/green_tripdata_2019-01.csv.gz"),
    "tlc_official": (OFFICIAL_ADDRESS, "The TLC's own files: <host>/trip-data/green_tripdata_2024-01.parquet"),
    "docker_hub": ("https://hub.docker.com", "What the learning DAG docker_pulls asks"),
    "products_api": ("https://dummyjson.com", "What the learning DAG getting_started fetches products from"),
}
"""What the shipped sources and the learning DAGs ask: address and description of each connection."""

PARALLELISM = 8
"""Tasks that Airflow runs at a time on one machine."""

_CONFIG_HEADER = """\
# Airflow's settings for this checkout, written by `make setup`. Edit what you like: setup adds
# what is missing and, for embedded Postgres, keeps the address of the metadata database right.
# Every setting: https://airflow.apache.org/docs/apache-airflow/3.3.2/configurations-ref.html

"""


def setup(home: Home, *, report: object = print) -> None:
    """Make the local installation ready.

    :param home: where
    :param report: called with a line for each part that took time
    :raises SettingError: Airflow can't work in this folder
    :raises ServerError: embedded Postgres doesn't start
    :raises subprocess.CalledProcessError: an Airflow command failed; holds what it said
    """
    say = report if callable(report) else print
    refuse_path(home.root)
    home.state.mkdir(parents=True, exist_ok=True)
    server = None
    if uses_embedded_postgres(home):
        if database.find(home) is None:
            say("Starting embedded Postgres 18")
        # Also where it runs: an installation of an earlier version gets the rights of this one.
        server = database.start(home)
    _write_config(home, server)
    _write_passwords(home)
    metadata = _metadata_address(home)
    stamp, stamp_file = _stamp(home, server, metadata), _stamp_file(home, server)
    # The embedded server has a database for metadata that are elsewhere, too: it is empty, or from before.
    embedded = server if database.is_embedded(metadata) else None
    if _read_stamp(stamp_file) != stamp or not is_migrated(embedded):
        say(f"Creating Airflow's metadata, and the connections {', '.join(ADDRESSES)} and taxi_postgres")
        _migrate(home, server, overwrite=embedded is not None and _is_embedded_elsewhere(embedded))
        stamp_file.write_text(json.dumps(stamp, indent=2) + "\n", encoding="utf-8")


def refuse_path(root: Path) -> None:
    """Refuse a folder whose path Airflow would read as another path.

    :raises SettingError: it can't be used
    """
    problem = None
    if found := re.search(r"\$([A-Za-z_]\w*|\{[^}]*\})", str(root)):
        problem = f"Airflow takes {found[0]} in its path for a variable of the environment"
    elif any(unicodedata.category(character) in ("Cc", "Cs") for character in str(root)):
        problem = "its path has a line's end, another control character, or bytes that aren't UTF-8"
    if problem:
        raise SettingError(f"{str(root)!r} can't hold a Taxiway: {problem}. Move or rename the folder, and try again")


def uses_embedded_postgres(home: Home) -> bool:
    """Say whether anything needs the embedded server: either database is left to us."""
    given = {**read_assignments(home.root / ".env"), **os.environ}
    return "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN" not in given or "AIRFLOW_CONN_TAXI_POSTGRES" not in given


def _metadata_address(home: Home) -> str:
    """Return SQLAlchemy's address of Airflow's metadata: from the environment or ``.env``, else from the settings."""
    given = {**read_assignments(home.root / ".env"), **os.environ}
    config = configparser.ConfigParser(interpolation=None)
    config.read(home.airflow_config, encoding="utf-8")
    settings = config.get("database", "sql_alchemy_conn", fallback="").replace("%%", "%")
    return given.get("AIRFLOW__DATABASE__SQL_ALCHEMY_CONN") or settings


def airflow_command() -> list[str]:
    """Return the words that run the Airflow of this Python."""
    # Not the program airflow beside it: its first line holds the path of the checkout, which may have any characters.
    return [sys.executable, "-m", "airflow"]


def airflow_environment(home: Home) -> dict[str, str]:
    """Return the environment in which Airflow knows its home, and how its messages name the command."""
    # Tasks with an environment of their own call this Python by its name.
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    return {PROGRAM_VARIABLE: "bin/airflow", **os.environ, "AIRFLOW_HOME": str(home.root), "PATH": path}


def _write_config(home: Home, server: database.Server | None) -> None:
    config = configparser.ConfigParser(interpolation=None)
    config.read(home.airflow_config, encoding="utf-8")
    if config.get("database", "sql_alchemy_conn", fallback="").startswith("sqlite"):
        # Airflow wrote this file itself, with all its defaults, when a command ran before the setup.
        config = configparser.ConfigParser(interpolation=None)
    before = _as_dict(config)
    defaults = {
        "core": {
            # Airflow's own defaults, which it can't fill in itself if its home has a percent sign. It puts its home in
            # when it reads them, so that a checkout can move.
            "dags_folder": "$AIRFLOW_HOME/dags",
            "plugins_folder": "$AIRFLOW_HOME/plugins",
            "executor": "LocalExecutor",
            "parallelism": str(PARALLELISM),
            "load_examples": "False",
            "dags_are_paused_at_creation": "True",
            "fernet_key": urlsafe_b64encode(secrets.token_bytes(32)).decode(),
            "simple_auth_manager_users": "admin:admin",
            "simple_auth_manager_passwords_file": "$AIRFLOW_HOME/.taxiway/passwords.json",
        },
        "api": {"host": "127.0.0.1", "secret_key": secrets.token_urlsafe(32)},
        "logging": {
            "base_log_folder": "$AIRFLOW_HOME/logs",
            "dag_processor_child_process_log_directory": "$AIRFLOW_HOME/logs/dag_processor",
        },
        "api_auth": {"jwt_secret": secrets.token_urlsafe(48)},
        # How late a worker may tell that its task waits for a person or a job. If the answer comes earlier, the
        # scheduler takes the task for dead, and runs it again: the person is asked again.
        "workers": {"min_heartbeat_interval": "1"},
        # Of the two, only pip reads a person's settings of pip: another index, a proxy, certificates.
        "standard": {"venv_install_method": "pip"},
    }
    for section, settings in defaults.items():
        for key, value in settings.items():
            if not config.has_option(section, key):
                # Airflow interpolates what it reads, so a percent sign is doubled.
                config.read_dict({section: {key: value.replace("%", "%%")}})
    address = config.get("database", "sql_alchemy_conn", fallback="").replace("%%", "%")
    if server is not None and (not address or database.is_embedded(address)):
        address = server.url("airflow", driver=database.METADATA_DRIVER).replace("%", "%%")
        config.read_dict({"database": {"sql_alchemy_conn": address}})
    if _as_dict(config) != before:
        with _private(home.airflow_config) as stream:
            stream.write(_CONFIG_HEADER)
            config.write(stream)


def _as_dict(config: configparser.ConfigParser) -> dict[str, dict[str, str]]:
    return {section: dict(config.items(section)) for section in config.sections()}


def _write_passwords(home: Home) -> None:
    if not home.passwords.exists():
        with _private(home.passwords) as stream:
            json.dump({"admin": secrets.token_urlsafe(12)}, stream)


def _private(path: Path):  # type: ignore[no-untyped-def]  # a text stream, whose type open() knows best
    """Open a file for writing that only its owner can read."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    os.fchmod(descriptor, 0o600)
    return open(descriptor, "w", encoding="utf-8")  # noqa: PTH123 - the caller closes it


def _migrate(home: Home, server: database.Server | None, *, overwrite: bool) -> None:
    """Bring the metadata to this Airflow's version, and add the connections that are absent.

    Connections that are there stay as a person has set them.

    :param overwrite: whether the connection to the embedded server replaces one that is there
    :raises subprocess.CalledProcessError: Airflow failed; holds what it said
    """
    with tempfile.TemporaryDirectory(dir=home.state) as folder:
        commands = [["db", "migrate"]]
        for name, (address, description) in ADDRESSES.items():
            mirror: dict[str, object] = {"conn_type": "http", "host": address, "description": description}
            commands.append(_import_connection(folder, name, mirror))
        if server is not None:
            # If the checkout has moved, embedded Postgres has, too.
            connection = _import_connection(folder, "taxi_postgres", server.airflow_connection())
            commands.append([*connection, *(["--overwrite"] if overwrite else [])])
        subprocess.run(
            [sys.executable, "-m", "taxiway_local.airflow_commands", json.dumps(commands)],
            env=airflow_environment(home),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            check=True,
        )


def _import_connection(folder: str, name: str, connection: dict[str, object]) -> list[str]:
    path = Path(folder) / f"{name}.json"
    path.write_text(json.dumps({name: connection}), encoding="utf-8")
    return ["connections", "import", str(path)]


def _is_embedded_elsewhere(server: database.Server) -> bool:
    with server.connect("airflow") as metadata:
        try:
            row = metadata.execute(
                "SELECT host FROM connection WHERE conn_id = 'taxi_postgres' AND login = %s AND schema = 'taxi'",
                [database.DATABASES["taxi"]],
            ).fetchone()
        except psycopg.errors.UndefinedTable:
            return False
    host = str(row[0]) if row else ""
    return host.startswith("/") and host != str(server.socket_folder)


def is_migrated(server: database.Server | None) -> bool:
    """Say whether Airflow's tables are still there: ``airflow db reset`` or a dropped database takes them away."""
    if server is None:
        return True
    with server.connect("airflow") as metadata:
        return metadata.execute("SELECT to_regclass('alembic_version')").fetchone() != (None,)


def _stamp(home: Home, server: database.Server | None, metadata: str) -> dict[str, str]:
    """Say what the metadata was set up for: another lock, other settings or another server mean another look.

    :param metadata: address of the metadata, of which no password is kept
    """
    lock = hashlib.sha256((ROOT / "requirements.txt").read_bytes()).hexdigest()
    settings = hashlib.sha256(home.airflow_config.read_bytes()).hexdigest()
    return {
        "connections": ", ".join(ADDRESSES),
        "requirements.txt": lock,
        "airflow.cfg": settings,
        "server": str(server.socket_folder if server else ""),
        "metadata": hashlib.sha256(_without_password(metadata).encode()).hexdigest(),
    }


def _without_password(address: str) -> str:
    """Return an address of SQLAlchemy's, as it stands but for the password."""
    try:
        return make_url(address).set(password="").render_as_string(hide_password=False)
    except ArgumentError:
        return shown_address(address)


def _stamp_file(home: Home, server: database.Server | None) -> Path:
    """The stamp lies with the data, so that it goes where they go."""
    return (home.postgres if server else home.state) / "setup.json"


def _read_stamp(path: Path) -> dict[str, str] | None:
    try:
        found: dict[str, str] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found


def main() -> int:
    """Run the setup from the command line."""
    setup(Home.current())
    return 0


if __name__ == "__main__":
    end(main, "make setup")
