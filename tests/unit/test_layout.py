"""The layout of docs/architecture.md, kept."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from taxiway.core.paths import ROOT

PACKAGE = ROOT / "plugins" / "taxiway"


@pytest.mark.parametrize(("folder", "forbidden"), [("core", ["airflow", "psycopg"]), ("postgres", ["airflow"])])
def test_core_and_steps_know_no_airflow(folder: str, forbidden: list[str]) -> None:
    names = [f"taxiway.{folder}.{path.stem}" for path in (PACKAGE / folder).glob("*.py") if path.stem != "__init__"]
    assert len(names) >= 5
    code = (
        "import importlib, sys\n"
        f"for name in {names!r}: importlib.import_module(name)\n"
        f"print(sorted(m for m in sys.modules if m.split('.')[0] in {forbidden!r}))"
    )

    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT / "plugins", capture_output=True, text=True, check=True, timeout=60
    )

    assert done.stdout.strip() == "[]"


def test_the_backfill_loads_airflows_models_only_when_it_needs_them() -> None:
    """Whatever is wrong with the arguments is said without them."""
    code = (
        "import sys, taxiway.backfill.command\n"
        "print(sorted({'airflow.models.dagrun', 'airflow.models.backfill', 'airflow.jobs.job'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT / "plugins", capture_output=True, text=True, check=True, timeout=60
    )

    assert done.stdout.strip() == "[]"


def test_the_benchmark_imports_what_its_row_says() -> None:
    ours = {"bench", "taxiway.core", "taxiway.postgres", "taxiway.local"}
    libraries = {"psycopg", "psutil", "rich", "requests", "pandas", "sqlalchemy", "dlt", "pyarrow"}
    (row,) = [
        line for line in (ROOT / "docs" / "architecture.md").read_text().splitlines() if line.startswith("| `bench/`")
    ]
    assert sorted(name for name in libraries if name not in row.lower()) == []

    imported = set()
    for path in (ROOT / "bench").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                imported |= {name.name for name in node.names}
            elif isinstance(node, ast.ImportFrom):
                parent = node.module or ""
                imported |= {f"{parent}.{name.name}" for name in node.names} if parent == "taxiway" else {parent}
    tops = {".".join(name.split(".")[: 2 if name.startswith("taxiway") else 1]) for name in imported}

    assert tops - set(sys.stdlib_module_names) == ours | libraries


def test_no_module_is_a_drawer_for_anything() -> None:
    drawers = {"utils", "common", "helpers", "manager", "misc"}

    assert [path for path in PACKAGE.rglob("*.py") if path.stem in drawers] == []


def test_dag_files_hold_no_logic() -> None:
    for path in (ROOT / "dags").glob("*.py"):
        assert len(path.read_text().splitlines()) < 30, f"{path.name}: move the logic to plugins/taxiway"


def test_operators_are_one_class_a_file() -> None:
    for path in (PACKAGE / "operators").glob("*.py"):
        assert path.read_text().count("\nclass ") <= 1, path.name


def test_the_top_level_is_what_an_airflow_user_expects() -> None:
    for name in ("dags", "plugins", "include/sql", "tests", "docker-compose.yaml", "requirements.txt", ".env.example"):
        assert (ROOT / name).exists(), name


def test_paths_of_one_machine_are_in_no_file() -> None:
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    if not tracked:
        pytest.skip("not a git checkout")
    parent = str(Path(ROOT).parent)
    if parent in ("/", "/opt", "/tmp", "/home"):
        pytest.skip(f"{parent} is too common a folder to look for")
    assert [name for name in tracked if f"{parent}/" in (ROOT / name).read_text(errors="ignore")] == []
