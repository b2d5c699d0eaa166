"""Sets the local installation up: settings, embedded Postgres, Airflow's metadata, connections.

Every part is made only where it is absent, so a second call is quick and changes
nothing that a person has edited.
"""

from __future__ import annotations

import configparser
import hashlib
import json
import os
import secrets
import subprocess
import sys
import tempfile
from base64 import urlsafe_b64encode
from pathlib import Path

from taxiway.core.paths import ROOT
from taxiway.local import database, postgres_server
from taxiway.local.environment import read_env_file
from taxiway.local.home import Home

DEFAULT_MIRROR = "https://github.com/DataTalksClub/nyc-tlc-data/releases/download"
"""The course's mirror of the TLC files."""

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
    :raises ServerError: embedded Postgres doesn't start
    :raises subprocess.CalledProcessError: an Airflow command failed; its output was shown
    """
    say = report if callable(report) else print
    home.state.mkdir(parents=True, exist_ok=True)
    server = None
    if uses_embedded_postgres(home):
        if database.find(home) is None:
            say("Starting embedded Postgres 18")
        # Also where it runs: an installation of an earlier version gets the rights of this one.
        server = database.start(home)
    _write_config(home, server)
    _write_passwords(home)
    stamp, stamp_file = _stamp(home, server), _stamp_file(home, server)
    if _read_stamp(stamp_file) != stamp:
        say("Creating Airflow's metadata")
        run_airflow(home, "db", "migrate")
        say("Adding the connections tlc_mirror and taxi_postgres")
        _add_connections(home, server)
        stamp_file.write_text(json.dumps(stamp, indent=2) + "\n", encoding="utf-8")


def uses_embedded_postgres(home: Home) -> bool:
    """Say whether anything needs the embedded server: either database is left to us."""
    given = {**read_env_file(home.root / ".env"), **os.environ}
    return "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN" not in given or "AIRFLOW_CONN_TAXI_POSTGRES" not in given


def airflow_command() -> list[str]:
    """Return the words that run Airflow, that of the Python which runs now."""
    return [str(Path(sys.executable).with_name("airflow"))]


def airflow_environment(home: Home) -> dict[str, str]:
    """Return the environment in which Airflow knows its home."""
    return {**os.environ, "AIRFLOW_HOME": str(home.root)}


def run_airflow(home: Home, *arguments: str) -> None:
    """Run an Airflow command; its output is shown only where it fails.

    :raises subprocess.CalledProcessError: it failed
    """
    done = subprocess.run(
        [*airflow_command(), *arguments],
        env=airflow_environment(home),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.stderr.write(done.stdout)
        done.check_returncode()


def _write_config(home: Home, server: database.Server | None) -> None:
    config = configparser.ConfigParser(interpolation=None)
    config.read(home.airflow_config, encoding="utf-8")
    if config.get("database", "sql_alchemy_conn", fallback="").startswith("sqlite"):
        # Airflow wrote this file itself, with all its defaults, when a command ran before the setup.
        config = configparser.ConfigParser(interpolation=None)
    before = _as_dict(config)
    defaults = {
        "core": {
            "executor": "LocalExecutor",
            "parallelism": str(PARALLELISM),
            "load_examples": "False",
            "dags_are_paused_at_creation": "True",
            "fernet_key": urlsafe_b64encode(secrets.token_bytes(32)).decode(),
            "simple_auth_manager_users": "admin:admin",
            # Airflow puts its home in, so that a checkout can move.
            "simple_auth_manager_passwords_file": "$AIRFLOW_HOME/.taxiway/passwords.json",
        },
        "api": {"host": "127.0.0.1", "secret_key": secrets.token_urlsafe(32)},
        "api_auth": {"jwt_secret": secrets.token_urlsafe(48)},
    }
    for section, settings in defaults.items():
        for key, value in settings.items():
            if not config.has_option(section, key):
                # Airflow interpolates what it reads, so a percent sign stands twice.
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


def _add_connections(home: Home, server: database.Server | None) -> None:
    """Add what is absent; connections that are there stay as a person has set them."""
    mirror: dict[str, object] = {
        "conn_type": "http",
        "host": DEFAULT_MIRROR,
        "description": "Base address of the TLC files: <host>/green/green_tripdata_2019-01.csv.gz",
    }
    _import_connections(home, {"tlc_mirror": mirror})
    if server is not None:
        # Where the checkout has moved, embedded Postgres has, too.
        moved = _is_embedded_elsewhere(server)
        _import_connections(home, {"taxi_postgres": server.airflow_connection()}, *(["--overwrite"] if moved else []))


def _is_embedded_elsewhere(server: database.Server) -> bool:
    with server.connect("airflow") as metadata:
        row = metadata.execute(
            "SELECT host FROM connection WHERE conn_id = 'taxi_postgres' AND login = %s AND schema = 'taxi'",
            [database.DATABASES["taxi"]],
        ).fetchone()
    host = str(row[0]) if row else ""
    return host.startswith("/") and host != str(server.socket_folder)


def _import_connections(home: Home, connections: dict[str, dict[str, object]], *options: str) -> None:
    with tempfile.TemporaryDirectory(dir=home.state) as folder:
        path = Path(folder) / "connections.json"
        path.write_text(json.dumps(connections), encoding="utf-8")
        run_airflow(home, "connections", "import", str(path), *options)


def _stamp(home: Home, server: database.Server | None) -> dict[str, str]:
    """Say what the metadata was set up for: another lock, other settings or another server mean another look."""
    lock = hashlib.sha256((ROOT / "requirements.txt").read_bytes()).hexdigest()
    settings = hashlib.sha256(home.airflow_config.read_bytes()).hexdigest()
    return {"requirements.txt": lock, "airflow.cfg": settings, "server": str(server.socket_folder if server else "")}


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
    try:
        setup(Home.current())
    except postgres_server.ServerError as error:
        print(f"Setup stops: {error}", file=sys.stderr)
        return 1
    except subprocess.CalledProcessError as error:
        print(f"Setup stops: {' '.join(map(str, error.cmd))} failed, its output is above", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
