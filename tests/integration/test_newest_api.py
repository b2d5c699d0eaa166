"""The execution API of a process whose tasks are its own: what they ask for is all there, in one version."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from taxiway.paths import ROOT

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
import contextlib, json, os, sys
sys.argv[0] = "airflow"
from airflow.cli.cli_parser import get_parser

parser = get_parser()
for words in json.loads(sys.argv[1]):
    if os.fork() == 0:
        with contextlib.suppress(Exception, SystemExit):
            arguments = parser.parse_args(words)
            arguments.func(arguments)
        from airflow.api_fastapi.execution_api.versions import bundle

        print("VERSIONS", *words, len(bundle.versions), flush=True)
        os._exit(0)
    os.wait()
"""


def run(folder: Path, code: str, *arguments: str, executor: str = "LocalExecutor") -> str:
    """Run a program with an Airflow that has no metadata."""
    for name in ("config", "plugins"):
        (folder / name).symlink_to(ROOT / name)
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")}
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env={
            **kept,
            "AIRFLOW_HOME": str(folder),
            "AIRFLOW__CORE__EXECUTOR": executor,
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        },
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_it_has_the_newest_versions_routes_and_no_others(tmp_path: Path) -> None:
    newest, whole, kept = json.loads(run(tmp_path, ROUTES).splitlines()[-1])

    assert len(whole) > 1
    assert list(kept) == [newest]
    assert kept[newest] == whole[newest]
    assert len(kept[newest]) > 50


def versions_built(folder: Path, commands: list[list[str]], executor: str = "LocalExecutor") -> list[int]:
    """Return how many versions of the API each command would build."""
    said = run(folder, COMMANDS, json.dumps(commands), executor=executor)
    lines = [line.rpartition(" ") for line in said.splitlines() if line.startswith("VERSIONS ")]
    assert [words for words, _, _ in lines] == [f"VERSIONS {' '.join(words)}" for words in commands], said
    return [int(count) for _, _, count in lines]


def test_commands_that_run_it_for_themselves_build_one_version(tmp_path: Path) -> None:
    """None of them comes far: there are no metadata."""
    alone = [["dags", "test", "a"], ["tasks", "test", "a", "b"], ["dag-processor"], ["triggerer"]]

    assert versions_built(tmp_path, alone) == [1] * len(alone)


@pytest.mark.parametrize(
    ("hosts", "executor", "whole"),
    [
        (("127.0.0.1", "::1", "localhost"), "LocalExecutor", False),
        (("0.0.0.0", "::", "airflow.example"), "LocalExecutor", True),
        (("127.0.0.1",), "CeleryExecutor", True),
    ],
)
def test_an_api_server_keeps_all_versions_for_workers_elsewhere(
    hosts: tuple[str, ...], executor: str, whole: bool, tmp_path: Path
) -> None:
    """It ends before it serves: its certificate is missing."""
    certificate = ("--ssl-cert", "/nowhere/a", "--ssl-key", "/nowhere/b")

    for count in versions_built(tmp_path, [["api-server", *certificate, "--host", host] for host in hosts], executor):
        assert (count > 1) == whole
