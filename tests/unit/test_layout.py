"""The layout of docs/architecture.md, kept."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from taxiway.paths import ROOT

PLUGINS = ROOT / "plugins"
PACKAGE = PLUGINS / "taxiway"

TOP = {"taxiway"}
"""The modules directly in ``plugins/taxiway``: errors, messages, paths, proxies, settings."""

LAYERS = ["taxiway.sources", "taxiway.files", "taxiway.download", "taxiway.loads", "taxiway.warehouses"]
"""Each may import itself, the ones before it and :data:`TOP`."""

WAREHOUSES = {f"taxiway.warehouses.{path.parent.name}" for path in PACKAGE.glob("warehouses/*/__init__.py")}
ALL_BUT_AIRFLOW = {*TOP, *LAYERS, *WAREHOUSES, "taxiway.compare", "taxiway.doctor", "taxiway.reports"}
ORCHESTRATION = {
    "taxiway.orchestration",
    *(f"taxiway.orchestration.{name}" for name in ("alerts", "hooks", "operators")),
}

MAY_IMPORT = {
    "taxiway": TOP,
    **{name: {*TOP, *LAYERS[: place + 1]} for place, name in enumerate(LAYERS)},
    **{name: {*TOP, *LAYERS, name, "taxiway.doctor"} for name in WAREHOUSES},
    "taxiway.doctor": {*TOP, "taxiway.doctor"},
    "taxiway.reports": {*TOP, "taxiway.sources", "taxiway.reports"},
    "taxiway.compare": {*TOP, "taxiway.sources", "taxiway.loads", "taxiway.compare"},
    **{name: {*ALL_BUT_AIRFLOW, *ORCHESTRATION} for name in ORCHESTRATION},
    "taxiway.cli": {
        *ALL_BUT_AIRFLOW,
        *ORCHESTRATION,
        "taxiway.cli",
        *(f"dags_backfill.{name}" for name in ("dates", "errors", "interrupted_runs", "lock", "takeover")),
    },
    "taxiway.cli.doctor": {*ALL_BUT_AIRFLOW, *ORCHESTRATION, "taxiway.cli", "taxiway.cli.doctor", "dags_backfill"},
    "taxiway.board": {*ALL_BUT_AIRFLOW, *ORCHESTRATION, "taxiway.board"},
    "dags_backfill": {"dags_backfill", "taxiway.messages", "taxiway.program", "taxiway_local.env_file"},
    "taxiway_local": {
        *TOP,
        *LAYERS,
        "taxiway.doctor",
        "taxiway_local",
        "stand_ins",
        "stand_ins.bigquery",
        "dags_backfill.signals",
    },
    "stand_ins": {"stand_ins"},
    "stand_ins.bigquery": {"stand_ins", "stand_ins.bigquery"},
}
"""Which of our packages, or single modules, a package may import."""

LIBRARIES = {
    "airflow": {"taxiway.orchestration", "taxiway.cli", "taxiway.board", "dags_backfill", "taxiway_local"},
    "psycopg": {"taxiway.warehouses.postgres", "taxiway.orchestration", "taxiway_local"},
    "fastapi": {"taxiway.board.app", "taxiway.orchestration.report_routes", "taxiway.orchestration.login"},
    "matplotlib": {"taxiway.reports.charts", "taxiway.board.charts"},
    "pyarrow": {"taxiway.files", "taxiway_local", "stand_ins"},
    "google": {"taxiway.warehouses.bigquery", "taxiway.orchestration", "taxiway_local", "stand_ins"},
}
"""Who may import the libraries that only some of our packages know; packages in them as well."""

LEARNING = {"airflow", "taxiway.paths", "taxiway.orchestration.known_conf"}

FILES = {
    "dags": {"taxiway.orchestration"},
    "dags/learn": LEARNING,
    "dags/learn/docker_pulls.py": {*LEARNING, "requests"},
    "dags/learn/getting_started.py": {*LEARNING, "duckdb"},
    "dags/learn/loop.py": {
        *LEARNING,
        "taxiway.sources",
        *(f"taxiway.orchestration.{name}" for name in ("dag_template", "taxi_conf", "warehouses")),
    },
    "plugins/taxiway_board.py": {"airflow", "taxiway.board"},
    "plugins/taxiway_reports.py": {"airflow", "taxiway.orchestration"},
    "plugins/taxiway_timetables.py": {"airflow", "taxiway.orchestration"},
    "config": {
        *("airflow", "dags_backfill", "taxiway_local"),
        *TOP,
        *(f"taxiway.{name}" for name in ("cli", "orchestration", "sources", "warehouses")),
    },
    "docker": set(),
    "docker/make_env.py": {"taxiway_local.env_file"},
    "bin": {"rich"},
    "bench/airflow_files": {"airflow"},
}
"""What Python files outside of our packages may import besides the standard library, by file or else by folder."""


def modules(*folders: Path) -> Iterator[tuple[str, Path, ast.Module]]:
    """Yield name, file and syntax tree of each module below the folders."""
    for folder in folders:
        for path in sorted(folder.rglob("*.py")):
            name = ".".join(path.relative_to(folder.parent).with_suffix("").parts).removesuffix(".__init__")
            yield name, path, ast.parse(path.read_text())


OWN = {
    name: path
    for name, path, _ in modules(PACKAGE, PLUGINS / "dags_backfill", PLUGINS / "taxiway_local", ROOT / "stand_ins")
}


def imported(tree: ast.Module) -> Iterator[str]:
    """Yield what a module imports, in functions too, by statements and by calls: full names."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports are not used here"
            for name in node.names:
                full = f"{node.module}.{name.name}"
                yield full if full in OWN else str(node.module)
        elif isinstance(node, ast.Call):
            called = ast.unparse(node.func).rpartition(".")[2]
            if called in ("import_module", "__import__", "run_module", "run_path"):
                assert isinstance(node.args[0], ast.Constant), f"{ast.unparse(node)}: imports a name that is made up"
                yield str(node.args[0].value)


def package_of(module: str) -> str:
    """Return the package that a module of ours is in."""
    return module if OWN[module].name == "__init__.py" else module.rpartition(".")[0]


@pytest.mark.parametrize("name", OWN)
def test_imports_go_one_way(name: str) -> None:
    for other in imported(ast.parse(OWN[name].read_text())):
        top = other.partition(".")[0]
        assert top not in ("tests", "bench"), f"{name} imports {other}"
        if other in OWN:
            allowed = MAY_IMPORT[package_of(name)]
            assert package_of(other) in allowed or other in allowed, f"{name} imports {other}"
        elif top in LIBRARIES:
            knows = any(name == user or name.startswith(f"{user}.") for user in LIBRARIES[top])
            assert knows, f"{name} imports {other}"


def other_files() -> list[str]:
    """Python files that are in no package, nor in the tests or the benchmark: Airflow or a shell runs them."""
    folders = ("plugins", "dags", "dags/learn", "config", "docker", "bench/airflow_files")
    found = [path for folder in folders for path in (ROOT / folder).glob("*.py")]
    scripts = [path for path in (ROOT / "bin").iterdir() if "python" in path.read_text().partition("\n")[0]]
    return sorted(str(path.relative_to(ROOT)) for path in [*found, *scripts])


@pytest.mark.parametrize("name", other_files())
def test_a_file_of_no_package_imports_what_its_row_says(name: str) -> None:
    allowed = FILES[name if name in FILES else str(Path(name).parent)]
    for other in imported(ast.parse((ROOT / name).read_text())):
        top = other.partition(".")[0]
        ours = {other, package_of(other)} if other in OWN else {top}
        assert top in sys.stdlib_module_names or ours & allowed, f"{name} imports {other}"


def test_no_python_file_is_without_a_rule() -> None:
    tracked = subprocess.run(["git", "ls-files", "*.py"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    packages = {str(path.relative_to(ROOT)) for path in OWN.values()}
    theirs = {name for name in tracked.split() if not re.match(r"tests/|bench/\w+\.py", name)}

    assert sorted(theirs - packages - {*other_files()}) == []


def test_every_package_has_its_rule_and_its_row() -> None:
    assert {package_of(name) for name in OWN} == set(MAY_IMPORT)
    text = (ROOT / "docs" / "architecture.md").read_text()
    for package in MAY_IMPORT:
        folder = ("stand_ins" if package.startswith("stand_ins") else f"plugins/{package}").replace(".", "/")
        assert f"`{folder}/`" in text, folder


@pytest.mark.parametrize(
    "statement",
    ["from taxiway import errors", "import taxiway.errors", "def f():\n    from taxiway.errors import TaxiwayError",
     "import importlib\nimportlib.import_module('taxiway.errors')", "__import__('taxiway.errors')"],
)  # fmt: skip
def test_an_import_is_seen_in_every_form(statement: str) -> None:
    assert "taxiway.errors" in set(imported(ast.parse(statement)))


def test_the_backfill_loads_airflows_models_only_when_it_needs_them() -> None:
    """Whatever is wrong with the arguments is said without them."""
    code = (
        "import sys, dags_backfill.command\n"
        "print(sorted({'airflow.models.dagrun', 'airflow.models.backfill', 'airflow.jobs.job'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT / "plugins", capture_output=True, text=True, check=True, timeout=60
    )

    assert done.stdout.strip() == "[]"


def test_airflow_starts_without_the_modules_of_our_commands() -> None:
    """What a command needs is imported when it runs: a start of Airflow knows its options only."""
    code = (
        "import sys\n"
        "from taxiway.cli import commands\n"
        "from airflow.cli import cli_parser\n"
        "before = set(sys.modules)\n"
        "commands.register(lambda *_: False)\n"
        "commands.register(lambda *_: False)\n"
        "assert [command.name for command in cli_parser.core_commands].count('taxi') == 1\n"
        "print(sorted(set(sys.modules) - before))\n"
        "print(sorted(name for name in sys.modules if name.startswith(('taxiway.cli', 'taxiway.compare'))))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT / "plugins", capture_output=True, text=True, check=True, timeout=120
    )

    assert done.stdout.splitlines() == ["[]", str(["taxiway.cli", "taxiway.cli.commands"])]


def test_a_process_of_airflow_imports_nothing_of_the_board() -> None:
    """Each process imports every plugin: only the API server asks this one for its routes."""
    code = (
        "import sys, airflow.plugins_manager\n"
        "before = set(sys.modules)\n"
        "import taxiway_board\n"
        "plugin = taxiway_board.TaxiwayBoard()\n"
        "assert plugin.external_views\n"
        "print(sorted(set(sys.modules) - before))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT / "plugins", capture_output=True, text=True, check=True, timeout=120
    )

    assert done.stdout.strip() == "['taxiway_board']"


def test_airflow_starts_as_fast_without_our_commands(tmp_path: Path) -> None:
    """By calls of functions, in Python and C: their number is the same however busy the machine is."""
    for name in ("config", "plugins", "include"):
        (tmp_path / name).symlink_to(ROOT / name)
    code = (
        "import cProfile, sys, types\n"
        "sys.path[:0] = [sys.argv[1]]\n"
        "if sys.argv[2] == 'without':\n"
        "    import taxiway.cli\n"
        "    taxiway.cli.commands = types.SimpleNamespace(register=lambda *_: None)\n"
        "    sys.modules['taxiway.cli.commands'] = taxiway.cli.commands\n"
        "else:\n"
        "    import taxiway.cli\n"
        "sys.argv[:] = ['airflow', 'version']\n"
        "profile = cProfile.Profile()\n"
        "profile.enable()\n"
        "from airflow.__main__ import main\n"
        "main()\n"
        "profile.disable()\n"
        "assert ('taxi' in [command.name for command in sys.modules['airflow.cli.cli_config'].core_commands])"
        " is hasattr(taxiway.cli.commands, 'group')\n"
        "print(sum(entry.callcount for entry in profile.getstats()))"
    )
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "_AIRFLOW"))},
        "AIRFLOW_HOME": str(tmp_path),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{tmp_path}/airflow.db",
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(tmp_path / "plugins"),
        "PYTHONHASHSEED": "0",
    }
    calls = {}
    for how in ("without", "with"):
        command = [sys.executable, "-c", code, str(PLUGINS), how]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        calls[how] = int(done.stdout.split()[-1])

    assert calls["without"] < calls["with"] <= 1.05 * calls["without"]


def test_the_benchmark_imports_what_its_row_says() -> None:
    ours = {"bench", "taxiway", "taxiway_local"}
    used = ("psycopg", "psutil", "rich", "requests", "playwright", "google")
    libraries = {*used, "pandas", "sqlalchemy", "dlt", "pyarrow"}
    (row,) = [
        line for line in (ROOT / "docs" / "architecture.md").read_text().splitlines() if line.startswith("| `bench/`")
    ]
    assert sorted(name for name in libraries if name not in row.lower()) == []

    trees = [ast.parse(path.read_text()) for path in (ROOT / "bench").glob("*.py")]
    tops = {name.partition(".")[0] for tree in trees for name in imported(tree)}

    assert tops - set(sys.stdlib_module_names) == ours | libraries


@pytest.mark.parametrize(
    "folder",
    sorted({path.parent for path in [*OWN.values(), ROOT / "bench" / "scale.py"]}),
    ids=lambda folder: folder.name,
)
def test_a_package_lists_its_modules(folder: Path) -> None:
    index = re.findall(
        r"^- ([a-z_, ]+):", ast.get_docstring(ast.parse((folder / "__init__.py").read_text())) or "", re.M
    )
    modules_there = {path.stem for path in folder.glob("*.py") if not path.stem.startswith("__")}
    packages_there = {path.parent.name for path in folder.glob("*/__init__.py")}

    assert sorted(name for line in index for name in line.split(", ")) == sorted(modules_there | packages_there)


def test_one_module_decides_between_retry_and_failure() -> None:
    """Others raise errors of ours, and that module fails the task; a learning DAG holds all of itself."""
    trees = {name: ast.walk(ast.parse(path.read_text())) for name, path in OWN.items()}
    decide = {
        name
        for name, nodes in trees.items()
        for node in nodes
        if (isinstance(node, ast.alias) and node.name.endswith("AirflowFailException"))
        or (isinstance(node, ast.Attribute) and node.attr == "AirflowFailException")
        or (isinstance(node, ast.Raise) and re.match(r"raise (\w+\.)*Airflow(Fail)?Exception\b", ast.unparse(node)))
    }
    assert decide == {"taxiway.orchestration.failures"}


def test_no_module_is_a_drawer_for_anything() -> None:
    drawers = {"utils", "common", "helpers", "manager", "misc"}

    assert [path for path in PACKAGE.rglob("*.py") if path.stem in drawers] == []


def test_dag_files_hold_no_logic() -> None:
    for path in (ROOT / "dags").glob("*.py"):
        assert len(path.read_text().splitlines()) < 30, f"{path.name}: move the logic to plugins/taxiway"


def test_operators_are_one_class_a_file() -> None:
    for path in (PACKAGE / "orchestration" / "operators").glob("*.py"):
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


def test_git_ignores_no_file_that_the_code_needs() -> None:
    """An ignored module works here, and is absent from every other checkout."""
    kinds = [f"{folder}/**.{kind}" for folder in ("dags", "plugins", "stand_ins") for kind in ("py", "json")]
    listed = ["git", "ls-files", "--others", "--ignored", "--exclude-standard", "--", "include", "tests/**.py", *kinds]
    assert subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split() == []
