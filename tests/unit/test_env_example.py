""".env.example: every connection, variable and secret explained where one would look for it."""

from __future__ import annotations

import json
import re
import shutil
import stat
import subprocess
import sys
from base64 import urlsafe_b64decode
from pathlib import Path

import pytest

from taxiway_local.setup import ADDRESSES
from tests.compose_file import ROOT, optional_variables, raw, required_variables, resolved

TEXT = (ROOT / ".env.example").read_text(encoding="utf-8")
FIELDS = ("what", "form", "default", "needed")
ASSIGNMENT = re.compile(r"(# )?([A-Z][A-Z0-9_]*)=(.*)")


def entries() -> dict[str, tuple[bool, str, str]]:
    """Return each variable with whether its line is on, its value, and the block of comments that it ends."""
    found = {}
    for block in TEXT.split("\n\n"):
        lines = block.strip().splitlines()
        for number, line in enumerate(lines):
            match = ASSIGNMENT.fullmatch(line)
            if match:
                assert match[2] not in found, f"{match[2]} is given twice"
                found[match[2]] = (match[1] is None, match[3], "\n".join(lines[:number]))
    return found


ENTRIES = entries()
MADE = {"COMPOSE_PROJECT_NAME", *required_variables()}
"""What make_env.py gives a value."""


def set_up(folder: Path, env: str | None = None) -> Path:
    """Lay a checkout's files out as make_env.py finds them, and return the path of .env."""
    (folder / "docker").mkdir()
    shutil.copy(ROOT / "docker" / "make_env.py", folder / "docker")
    package = folder / "plugins" / "taxiway_local"
    package.mkdir(parents=True)
    for name in ("__init__.py", "env_file.py"):
        shutil.copy(ROOT / "plugins" / "taxiway_local" / name, package)
    shutil.copy(ROOT / ".env.example", folder)
    if env is not None:
        (folder / ".env").write_text(env, encoding="utf-8")
    return folder / ".env"


def make_env(target: Path) -> str:
    script = target.parent / "docker" / "make_env.py"
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def read_as_local_commands_do(path: Path) -> dict[str, str]:
    """Read a file by the project's own reader, in a process of its own: importing it sets the environment."""
    code = (
        "import json, sys, pathlib; from taxiway_local.env_file import read_assignments;"
        "print(json.dumps(read_assignments(pathlib.Path(sys.argv[1]))))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)], cwd=ROOT / "plugins", capture_output=True, text=True, check=True
    )
    found: dict[str, str] = json.loads(done.stdout)
    return found


# --- What is explained


@pytest.mark.parametrize("name", sorted(ENTRIES))
def test_each_variable_says_what_it_is(name: str) -> None:
    lines = ENTRIES[name][2].splitlines()
    assert lines[0] == f"# {name}"
    said = [match[1] for match in (re.match(r"#   ([a-z]+) +\S", line) for line in lines) if match]
    assert tuple(said) == FIELDS


def test_everything_that_compose_reads_is_explained() -> None:
    unexplained = (set(required_variables()) | optional_variables()) - set(ENTRIES)
    assert unexplained == set()


def test_everything_explained_is_read_by_compose() -> None:
    environment = {name for service in raw()["services"].values() for name in service.get("environment", {})}
    unread = set(ENTRIES) - set(required_variables()) - optional_variables() - environment
    assert unread == set()


def test_compose_and_example_have_the_same_connections_and_variables() -> None:
    environment = raw()["services"]["airflow-scheduler"]["environment"]
    prefixes = ("AIRFLOW_CONN_", "AIRFLOW_VAR_")
    in_compose = {name for name in environment if name.startswith(prefixes)}
    assert len(in_compose) == 22
    assert in_compose == {name for name in ENTRIES if name.startswith(prefixes)}


def test_only_what_make_env_sets_is_on_and_all_are_empty() -> None:
    assert {name for name, (on, _, _) in ENTRIES.items() if on} == MADE
    assert {value for on, value, _ in ENTRIES.values() if on} == {""}
    assert all(value for on, value, _ in ENTRIES.values() if not on)


def test_connections_are_json_with_a_type() -> None:
    for name in (n for n in ENTRIES if n.startswith("AIRFLOW_CONN_")):
        value = ENTRIES[name][1]
        assert value[0] == value[-1] == "'", name
        connection = json.loads(value[1:-1])
        assert {"conn_type", "extra" if "GCP" in name else "host"} <= set(connection), name
        assert re.fullmatch(r"<[A-Z_]+>", connection.get("password", "<NONE>")), name


def test_defaults_are_those_of_compose() -> None:
    text = json.dumps(raw())
    for name in ("AIRFLOW_PORT", "POSTGRES_PORT", "PGADMIN_PORT", "PGADMIN_EMAIL", "AIRFLOW__CORE__PARALLELISM"):
        _, value, block = ENTRIES[name]
        assert f"${{{name}:-{value}}}" in text, name
        assert re.search(rf"^#   default   {re.escape(value)}$", block, re.MULTILINE), name


def test_examples_read_the_same_with_their_lines_on(tmp_path: Path) -> None:
    on = re.sub(r"^# (?=[A-Z][A-Z0-9_]*=)", "", TEXT, flags=re.MULTILINE)
    (tmp_path / ".env").write_text(on, encoding="utf-8")
    found = read_as_local_commands_do(tmp_path / ".env")
    assert set(found) == set(ENTRIES)
    for name, (address, _) in ADDRESSES.items():
        connection = json.loads(found[f"AIRFLOW_CONN_{name.upper()}"])
        assert connection == {"conn_type": "http", "host": address}
    assert found["AIRFLOW_PORT"] == "8080"


# --- How it is filled


def test_an_unfilled_copy_starts_nothing() -> None:
    assert {name for name, (on, value, _) in ENTRIES.items() if on and value == ""} == MADE


def test_make_env_fills_every_secret_and_compose_resolves(tmp_path: Path) -> None:
    target = set_up(tmp_path)
    said = make_env(target)

    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert sorted(path.name for path in tmp_path.iterdir()) == [".env", ".env.example", "docker", "plugins"]
    values = read_as_local_commands_do(target)
    assert set(values) == MADE
    assert len(set(values.values())) == len(values)
    for name in required_variables():
        value = values[name]
        assert re.fullmatch(r"[A-Za-z0-9_-]{32,}=?", value), name
        assert name in said
        assert value not in said
    assert "${" not in json.dumps(resolved(values))
    assert len(urlsafe_b64decode(values["AIRFLOW_FERNET_KEY"])) == 32
    assert len(values["AIRFLOW_JWT_SECRET"]) >= 64
    without_values = re.sub(r"^([A-Z_]+)=.+$", r"\1=", target.read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert without_values == TEXT


def test_each_checkout_gets_a_project_name_of_its_own(tmp_path: Path) -> None:
    names = []
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        target = set_up(tmp_path / folder)
        make_env(target)
        names.append(read_as_local_commands_do(target)["COMPOSE_PROJECT_NAME"])
    assert names[0] != names[1]
    assert [name for name in names if not re.fullmatch(r"taxiway-[a-z0-9_-]+", name)] == []


@pytest.mark.parametrize(
    "before",
    [
        "POSTGRES_PASSWORD=chosen\n",
        "COMPOSE_PROJECT_NAME=\nPOSTGRES_PASSWORD=chosen\n",
        "POSTGRES_PASSWORD=chosen\nCOMPOSE_PROJECT_NAME=''\n",
    ],
)
def test_an_env_file_from_before_keeps_the_project_that_holds_its_data(before: str, tmp_path: Path) -> None:
    target = set_up(tmp_path, before)
    make_env(target)
    assert read_as_local_commands_do(target)["COMPOSE_PROJECT_NAME"] == "taxiway"
    assert target.read_text(encoding="utf-8").count("COMPOSE_PROJECT_NAME") == 1


def test_an_env_file_of_the_local_commands_gets_a_project_name_of_its_own(tmp_path: Path) -> None:
    """No container was made from it: two such checkouts would share the name otherwise."""
    target = set_up(tmp_path, "AIRFLOW_PORT=8081\nCOMPOSE_PROJECT_NAME=\n")
    make_env(target)
    assert re.fullmatch(r"taxiway-[0-9a-f]{6}", read_as_local_commands_do(target)["COMPOSE_PROJECT_NAME"])


@pytest.mark.parametrize("closed", ["docker", "dags/green.py", "include/sql"])
def test_what_containers_cannot_read_is_named_with_the_command_that_mends_it(tmp_path: Path, closed: str) -> None:
    target = set_up(tmp_path)
    for folder in ("dags", "include/sql", "config"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "dags" / "green.py").touch()
    (tmp_path / "plugins" / "__pycache__").mkdir(0o700)  # Python's leftovers don't matter
    (tmp_path / closed).chmod(0o700)
    command = [sys.executable, str(tmp_path / "docker" / "make_env.py")]

    refused = subprocess.run(command, capture_output=True, text=True, check=False)
    assert refused.returncode == 1
    assert f"the containers can't read {closed}" in refused.stderr
    advice = refused.stderr.rsplit(": ", 1)[1].split()
    assert advice[:2] == ["chmod", "-R"]
    subprocess.run(advice, cwd=tmp_path, check=True)

    assert subprocess.run(command, capture_output=True, text=True, check=False).returncode == 0
    assert target.exists()


def test_make_env_twice_changes_nothing(tmp_path: Path) -> None:
    target = set_up(tmp_path)
    make_env(target)
    before = target.read_bytes()
    assert "every secret has a value already" in make_env(target)
    assert target.read_bytes() == before


def test_make_env_keeps_what_is_set_and_adds_what_is_missing(tmp_path: Path) -> None:
    target = set_up(tmp_path, "# mine\nAIRFLOW_PORT=8081\nPOSTGRES_PASSWORD=chosen\nexport PGADMIN_PASSWORD=''\n")
    said = make_env(target)

    lines = target.read_text(encoding="utf-8").splitlines()
    assert lines[:3] == ["# mine", "AIRFLOW_PORT=8081", "POSTGRES_PASSWORD=chosen"]
    assert re.fullmatch(r"PGADMIN_PASSWORD=\S{32}", lines[3])
    values = read_as_local_commands_do(target)
    assert set(values) == {"AIRFLOW_PORT", *MADE}
    assert all(values.values())
    assert "POSTGRES_PASSWORD" not in said
    assert "${" not in json.dumps(resolved(values))
    assert resolved(values)["services"]["airflow-apiserver"]["ports"] == ["127.0.0.1:8081:8080"]
