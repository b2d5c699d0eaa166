"""The execution API of a process whose tasks are its own: what they ask for is all there, in one version."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from taxiway.paths import ROOT
from tests.integration.airflow_environment import PATIENCE, command_server

ROUTES = """
import json
from airflow.api_fastapi.execution_api.app import create_task_execution_api_app
from airflow.sdk.api.datamodels._generated import API_VERSION
from dags_backfill.newest_api import keep_newest_version

def versions():
    app = create_task_execution_api_app()
    app._cadwyn_initialize()
    return {
        str(version): sorted([route.path, sorted(getattr(route, "methods", None) or [])] for route in router.routes)
        for version, router in app.router.versioned_routers.items()
    }

whole = versions()
keep_newest_version()
keep_newest_version()
print(json.dumps([API_VERSION, whole, versions()]))
"""

COMMANDS = """
import contextlib, importlib, json, os, sys
sys.argv[0] = "airflow"
from airflow.cli.cli_parser import get_parser

parser = get_parser()
importlib.import_module("airflow.api_fastapi.execution_api.routes")  # all commands need it: here it is imported once
for executor, *words in json.loads(sys.argv[1]):
    if os.fork() == 0:
        os.environ["AIRFLOW__CORE__EXECUTOR"] = executor
        with contextlib.suppress(Exception, SystemExit):
            arguments = parser.parse_args(words)
            arguments.func(arguments)
        from airflow.api_fastapi.execution_api.versions import bundle

        print("VERSIONS", executor, *words, len(bundle.versions), flush=True)
        os._exit(0)
    os.wait()
"""


def run(folder: Path, code: str, *arguments: str) -> str:
    """Run a program with an Airflow that has no metadata."""
    for name in ("config", "plugins"):
        (folder / name).symlink_to(ROOT / name)
    (folder / "program.py").write_text(code, encoding="utf-8")
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")}
    command = command_server().start(
        arguments,
        program=folder / "program.py",
        env={
            **kept,
            "AIRFLOW_HOME": str(folder),
            "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        },
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    with command:
        said, errors = command.communicate(timeout=PATIENCE * 300)
    assert command.returncode == 0, said + errors
    return said


def test_it_has_the_newest_versions_routes_and_no_others(tmp_path: Path) -> None:
    newest, whole, kept = json.loads(run(tmp_path, ROUTES).splitlines()[-1])

    assert len(whole) > 1
    assert list(kept) == [newest]
    assert kept[newest] == whole[newest]
    assert len(kept[newest]) > 50


ALONE = [("dags", "test", "a"), ("tasks", "test", "a", "b"), ("dag-processor",), ("triggerer",)]
HOSTS = [
    (host, executor, whole)
    for hosts, executor, whole in (
        (("127.0.0.1", "::1", "localhost"), "LocalExecutor", False),
        (("0.0.0.0", "::", "airflow.example"), "LocalExecutor", True),
        (("127.0.0.1",), "CeleryExecutor", True),
    )
    for host in hosts
]


def serve(host: str) -> tuple[str, ...]:
    """An API server that ends before it serves: its certificate is missing."""
    return ("api-server", "--ssl-cert", "/nowhere/a", "--ssl-key", "/nowhere/b", "--host", host)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> dict[str, int]:
    """How many versions of the API commands would build, by executor and command."""
    commands = [("LocalExecutor", *words) for words in ALONE]
    commands += [(executor, *serve(host)) for host, executor, _ in HOSTS]
    said = run(tmp_path_factory.mktemp("newest"), COMMANDS, json.dumps(commands))
    lines = [line.partition(" ")[2].rpartition(" ") for line in said.splitlines() if line.startswith("VERSIONS ")]
    assert [words for words, _, _ in lines] == [" ".join(words) for words in commands], said
    return {words: int(count) for words, _, count in lines}


def test_commands_that_run_it_for_themselves_build_one_version(built: dict[str, int]) -> None:
    """None of them comes far: there are no metadata."""
    assert [built[" ".join(("LocalExecutor", *words))] for words in ALONE] == [1] * len(ALONE)


@pytest.mark.parametrize(("host", "executor", "whole"), HOSTS)
def test_an_api_server_keeps_all_versions_for_workers_elsewhere(
    host: str, executor: str, whole: bool, built: dict[str, int]
) -> None:
    assert (built[" ".join((executor, *serve(host)))] > 1) == whole
