"""What every Python process of the virtual environment knows without being told."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from taxiway.paths import ROOT
from taxiway_local.env_file import read_assignments

SHOW = "import os, taxiway_local.environment; print(os.environ['AIRFLOW_HOME'], os.environ.get('SHOWN', ''))"


def run(**variables: str) -> list[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")}
    # -S: without the line that make setup left in this environment.
    done = subprocess.run(
        [sys.executable, "-S", "-c", SHOW],
        env={**kept, "PYTHONPATH": str(ROOT / "plugins"), **variables},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return done.stdout.strip().split(" ")


def a_home(folder: Path, settings: str = "") -> Path:
    (folder / "plugins" / "taxiway").mkdir(parents=True)
    (folder / ".env").write_text(settings)
    return folder


def test_airflow_home_is_the_repository() -> None:
    assert run()[0] == str(ROOT)


def test_another_airflows_home_is_not_taken(tmp_path: Path) -> None:
    assert run(AIRFLOW_HOME=str(tmp_path))[0] == str(ROOT)


CONFIG = "import os, taxiway_local.environment; print(os.environ.get('AIRFLOW_CONFIG'))"


def config_of(home: Path, given: str) -> str:
    done = subprocess.run(
        [sys.executable, "-S", "-c", CONFIG],
        env={
            "PYTHONPATH": str(ROOT / "plugins"),
            "AIRFLOW_HOME": str(home),
            "AIRFLOW_CONFIG": given,
            "HOME": "/nowhere",
        },
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return done.stdout.strip()


@pytest.mark.parametrize("given", ["/elsewhere/airflow.cfg", "~/airflow/airflow.cfg", "$HOME/airflow.cfg", ""])
def test_another_airflows_config_is_not_taken(given: str, tmp_path: Path) -> None:
    assert config_of(a_home(tmp_path), given) == "None"


def test_a_config_of_this_home_is_taken(tmp_path: Path) -> None:
    home = a_home(tmp_path)
    assert config_of(home, str(home / "config" / "mine.cfg")) == str(home / "config" / "mine.cfg")
    # A path with .. leaves it again.
    assert config_of(home, str(home / ".." / "airflow.cfg")) == "None"


def test_a_config_that_the_settings_name_is_taken(tmp_path: Path) -> None:
    home = a_home(tmp_path, "AIRFLOW_CONFIG=/meant/airflow.cfg\n")

    assert config_of(home, "/elsewhere/airflow.cfg") == "/meant/airflow.cfg"


def bare(home: Path) -> dict[str, str]:
    """Return the environment of an Airflow with an empty home, whose Python has started without the project's line."""
    paths = [ROOT / "plugins", ROOT / "config", Path(pytest.__file__).parents[1]]
    return {
        "PYTHONPATH": os.pathsep.join(map(str, paths)),
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home}/airflow.db",
        "PATH": os.environ["PATH"],
    }


def test_an_airflow_that_started_without_it_keeps_its_own_settings(tmp_path: Path) -> None:
    """As in containers: by the time that Airflow reads its local settings, it has read its configuration."""
    config = tmp_path / "airflow.cfg"
    config.write_text("[core]\nload_examples = False\n")
    code = (
        "import os, sys; sys.argv[0] = 'airflow'; import airflow_local_settings;"
        "from airflow.cli import cli_config;"
        "dags = next(group for group in cli_config.core_commands if group.name == 'dags');"
        "print(os.environ['AIRFLOW_CONFIG'], os.environ['AIRFLOW_HOME']);"
        "print('backfill' in [command.name for command in dags.subcommands])"
    )
    (tmp_path / "home").mkdir()
    done = subprocess.run(
        [sys.executable, "-S", "-c", code],
        env={**bare(tmp_path / "home"), "AIRFLOW_CONFIG": str(config)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.stdout.splitlines() == [f"{config} {tmp_path / 'home'}", "True"], done.stderr


def test_commands_of_dags_warn_of_nothing_that_their_user_cannot_act_on(tmp_path: Path) -> None:
    """Without the settings, each of them begins with a warning that graphviz is absent."""
    done = subprocess.run(
        [sys.executable, "-S", "-m", "airflow", "dags", "list"],
        env=bare(tmp_path),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    said = done.stdout + done.stderr

    assert "airflow db migrate" in said  # it came as far as that
    assert "graphviz" not in said


@pytest.mark.parametrize("arguments", [["dags", "backfill", "taxi_green"], ["dags", "list"]])
def test_ctrl_c_while_airflow_starts(tmp_path: Path, arguments: list[str]) -> None:
    """One line for a backfill; other commands of Airflow's stay as they are."""
    code = (
        f"import os, signal, sys; sys.argv = ['airflow', *{arguments}];"
        "signal.signal(signal.SIGINT, signal.default_int_handler);"
        "import airflow_local_settings; os.kill(os.getpid(), signal.SIGINT)"
    )
    (tmp_path / "home").mkdir()
    done = subprocess.run(
        [sys.executable, "-S", "-c", code],
        env=bare(tmp_path / "home"),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    if "backfill" in arguments:
        assert (done.returncode, done.stderr) == (130, "\nairflow dags backfill: stopped\n")
    else:
        assert done.returncode not in (0, 130)
        assert "KeyboardInterrupt" in done.stderr


@pytest.mark.parametrize("as_module", [True, False], ids=["module", "script"])
@pytest.mark.parametrize(
    ("program", "arguments", "stopped"),
    [
        ("airflow", ["dags", "backfill", "taxi_green"], True),
        ("airflow", ["dags", "list"], False),
        ("pytest", ["dags", "backfill"], False),
    ],
)
def test_ctrl_c_before_airflow_is_imported(
    tmp_path: Path, program: str, arguments: list[str], stopped: bool, as_module: bool
) -> None:
    file = tmp_path / (f"{program}.py" if as_module else program)
    file.write_text(
        "import os, signal\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "import taxiway_local.environment\n"
        "os.kill(os.getpid(), signal.SIGINT)\n"
    )
    done = subprocess.run(
        [sys.executable, "-S", *(["-m", program] if as_module else [str(file)]), *arguments],
        env={"PYTHONPATH": os.pathsep.join([str(ROOT / "plugins"), str(tmp_path)]), "PATH": os.environ["PATH"]},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    if stopped:
        assert (done.returncode, done.stderr) == (130, "\nairflow dags backfill: stopped\n")
    else:
        assert done.returncode not in (0, 130)
        assert "KeyboardInterrupt" in done.stderr


def test_a_home_of_this_project_is_taken_with_its_settings(tmp_path: Path) -> None:
    home = a_home(tmp_path, "SHOWN=from-the-file\n")

    assert run(AIRFLOW_HOME=str(home)) == [str(home), "from-the-file"]
    assert run(AIRFLOW_HOME=str(home), SHOWN="given") == [str(home), "given"]


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("A=1", "1"),
        ("A = 1 ", "1"),
        ("export A=1", "1"),
        ("A=", ""),
        ("A='x # y'", "x # y"),
        ('A="x"', "x"),
        ("A=x # why", "x"),
        ("A=x#y", "x#y"),
        ("A='x # y' # why", "x # y"),
        ('A="x"# why', "x"),
        ("A='it\\'s'", "it\\'s"),
        ("""A='{"conn_type": "http", "host": "https://x"}'""", '{"conn_type": "http", "host": "https://x"}'),
        ('A={"host": "x # y"}', '{"host": "x # y"}'),
    ],
)
def test_a_line_of_an_env_file(line: str, value: str, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(f"# a comment\n\n{line}\nTAKEN_FROM_THE_SHELL\n")

    assert read_assignments(tmp_path / ".env") == {"A": value}


def test_an_env_file_that_is_absent_holds_nothing(tmp_path: Path) -> None:
    assert read_assignments(tmp_path / ".env") == {}
