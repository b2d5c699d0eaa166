"""What docker-compose.yaml mounts, and the image that it builds."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from tests.compose_file import (
    AIRFLOW_SERVICES,
    ONE_SHOT,
    ROOT,
    airflow_version,
    dockerfile,
    raw,
    services,
    texts,
)


def mounts(kind: str) -> list[tuple[str, dict[str, Any]]]:
    return [
        (name, mount) for name, service in services().items() for mount in service["volumes"] if mount["type"] == kind
    ]


def test_the_repository_is_mounted_read_only_where_airflow_looks() -> None:
    found = mounts("bind")
    assert found
    for name, mount in found:
        assert (ROOT / mount["source"]).exists(), f"{name}: {mount['source']}"
        assert mount["read_only"] is True, f"{name}: {mount['source']}"
        assert mount["bind"] == {"create_host_path": False}, f"{name}: {mount['source']}"
    mounted = ("dags", "plugins", "include", "config")
    checked = {mount["source"]: mount["target"] for owner, mount in found if owner == "preflight"}
    assert checked == {f"./{folder}": f"/checkout/{folder}" for folder in (*mounted, "docker")}
    assert {mount["source"].split("/")[1] for _, mount in found} <= {folder[2:] for folder in checked}
    for name in AIRFLOW_SERVICES | {"airflow-init"}:
        targets = {mount["source"]: mount["target"] for owner, mount in found if owner == name}
        assert targets == {
            **{f"./{folder}": f"/opt/airflow/{folder}" for folder in mounted},
            "./docker": "/opt/taxiway/docker",
        }


def test_named_volumes_are_declared_and_used() -> None:
    used = {mount["source"] for _, mount in mounts("volume")}
    assert used == set(raw()["volumes"])
    targets = {mount["source"]: mount["target"] for _, mount in mounts("volume")}
    # What the image of Postgres 18 declares; a mount at the former .../data would leave the data in a nameless volume.
    assert targets["postgres-data"] == "/var/lib/postgresql"
    environment = services()["airflow-scheduler"]["environment"]
    assert environment["AIRFLOW_VAR_TAXIWAY_CACHE_FOLDER"] == targets["download-cache"]
    assert environment["AIRFLOW_VAR_TAXIWAY_REPORTS_FOLDER"] == targets["reports"]
    passwords = Path(environment["AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE"])
    assert str(passwords.parent) == targets["airflow-auth"]


def test_the_passwords_file_is_shared_by_its_writer_and_its_reader_only() -> None:
    owners = {name for name, mount in mounts("volume") if mount["source"] == "airflow-auth"}
    assert owners == {"airflow-init", "airflow-apiserver"}


def test_the_image_has_a_folder_for_every_volume_that_airflow_writes() -> None:
    made = re.search(r"^RUN mkdir -p (.+)$", dockerfile(), re.MULTILINE)
    assert made
    written = {m["target"] for name, m in mounts("volume") if name.startswith("airflow-")}
    assert set(made[1].split()) == written


def test_scripts_that_the_services_run_are_in_the_repository() -> None:
    places = [text for _, text in texts(services()) if text.startswith("/opt/taxiway/docker/")]
    assert len(places) == len(AIRFLOW_SERVICES) + len(ONE_SHOT - {"preflight"})
    for place in places:
        assert (ROOT / place.removeprefix("/opt/taxiway/")).is_file(), place


def test_the_image_is_the_locked_airflow() -> None:
    lines = [line for line in dockerfile().splitlines() if line and not line.startswith("#")]
    base = re.fullmatch(r"FROM apache/airflow:slim-(\S+)-python3\.(1[0-3])", lines[0])
    assert base, lines[0]
    assert base[1] == airflow_version()
    assert f"\napache-airflow=={base[1]} " in (ROOT / "requirements.txt").read_text(encoding="utf-8")
    (install,) = [line for line in lines if "pip install" in line]
    assert {"--no-cache-dir", "--no-deps", "--require-hashes"} <= set(install.split())
    assert [line for line in lines if line.startswith("USER")] == []  # the base image's own: airflow


def test_the_build_context_is_the_requirements_and_nothing_else() -> None:
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    patterns = [line for line in lines if line and not line.startswith("#")]
    assert patterns == ["*", "!requirements.txt"]
    # The build's user reads the file, whatever umask the checkout was made with.
    assert "\nCOPY --chown=airflow:0 requirements.txt " in dockerfile()
    copied = [line.split()[2:-1] for line in dockerfile().splitlines() if line.startswith(("COPY", "ADD"))]
    assert copied == [["requirements.txt"]]
