"""What ``make mutants`` says of strong and of weak tests."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from taxiway.paths import ROOT

CODE = "def fare(miles):\n    return 3 + 2 * miles if miles > 0 else 0\n"
SETTINGS = """
[tool.pytest.ini_options]
addopts = "--import-mode=importlib"
[tool.mutmut]
source_paths = ["src"]
only_mutate = ["src/lime/fares/*"]
pytest_add_cli_args_test_selection = ["tests/test_fares.py"]
"""
BESIDE = """
from pathlib import Path


def test_what_tests_read_is_where_it_is_in_the_repository():
    root = Path(__file__).parents[1]
    assert (root / "plugins/lime/fares/taxi.py").is_file() and (root / "docs/fares.md").is_file()
"""
HALF = "return 3 + 2 / miles if miles > 0 else 0"


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    for folder in ("plugins/lime/fares", "tests/mutants", "include", "docs"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "plugins" / "lime" / "fares" / "taxi.py").write_text(CODE)
    (tmp_path / "docs" / "fares.md").write_text("Fares are linear.\n")
    (tmp_path / "pyproject.toml").write_text(SETTINGS)
    (tmp_path / "tests" / "mutants" / "survivors.yaml").write_text(f"a half is a double of one:\n  - {HALF}\n")
    return tmp_path


def mutants(repository: Path, tests: str) -> tuple[int, list[str]]:
    """Return the exit code and the lines of the report."""
    code = f"from lime.fares.taxi import fare\n\n\ndef test_fare():\n    assert {tests}\n{BESIDE}"
    (repository / "tests" / "test_fares.py").write_text(code)
    call = (
        "import pathlib, sys; from tests.mutants.__main__ import main; sys.exit(main('1', pathlib.Path(sys.argv[1])))"
    )
    done = subprocess.run(
        [sys.executable, "-c", call, str(repository)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.stderr == ""
    return done.returncode, done.stdout.partition("mutations/second\n")[2].splitlines()


def test_tests_that_notice_little_fail_with_what_they_miss(repository: Path) -> None:
    code, lines = mutants(repository, "fare(1) == 5")

    assert code == 1
    assert [line for line in lines if line.startswith("+")] == [
        "+    return 3 + 2 * miles if (miles > 0) or True else 0",
        "+    return 3 + 2 * miles if miles >= 0 else 0",
        "+    return 3 + 2 * miles if miles > 0 else 1",
    ]
    assert "lime.fares.taxi.x_fare__mutmut_2: survived" in lines
    assert lines[-2:] == [
        "fares: 5 of 9 mutants killed, 55.6%",
        "together: 5 of 9, 55.6%; expected at least 90%",
    ]


def test_tests_that_notice_all_succeed(repository: Path) -> None:
    assert mutants(repository, "[fare(miles) for miles in range(4)] == [0, 5, 7, 9]") == (
        0,
        [
            f"tests/mutants/survivors.yaml: no mutant survives that has {HALF!r}: take it out",
            "fares: 9 of 9 mutants killed, 100.0%",
            "together: 9 of 9, 100.0%; expected at least 90%",
        ],
    )
