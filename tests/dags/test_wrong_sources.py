"""A wrong file in include/sources is an import error of its own; all other DAGs stand."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from taxiway.paths import ROOT, SOURCES_FOLDER
from taxiway.sources.source import load_sources
from tests.dags import LEARNING, REPORTS

NAMES = [source.name for source in load_sources(SOURCES_FOLDER)]
OF_SOURCES = {name: {f"taxi_{name}", f"taxi_{name}_gcp"} for name in NAMES}
OTHERS = {"gcp_setup", "taxi", "taxi_compare", "taxi_maintenance", "taxi_watch", *LEARNING, *REPORTS}

BAG = """
import json, sys
from airflow.dag_processing.dagbag import DagBag
bag = DagBag(dag_folder=sys.argv[1], collect_dags=True, bundle_path=sys.argv[1])
compared = bag.dags["taxi_compare"].task_dict["compare"].source_names if "taxi_compare" in bag.dags else []
print(json.dumps([sorted(bag.dags), bag.import_errors, compared]))
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    for name in ("dags", "plugins", "include"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def sources(checkout: Path) -> Path:
    return checkout / "include" / "sources"


def parsed(checkout: Path) -> tuple[set[str], dict[str, str], list[str]]:
    """The DAGs of a checkout, its import errors by file, and the sources that are compared."""
    done = subprocess.run(
        [sys.executable, "-c", BAG, str(checkout / "dags")],
        env={**os.environ, "PYTHONPATH": str(checkout / "plugins")},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    dags, errors, compared = json.loads(done.stdout.splitlines()[-1])
    return set(dags), errors, compared


def test_a_wrong_file_is_an_import_error_of_its_own(checkout: Path) -> None:
    wrong = next(source.name for source in load_sources(SOURCES_FOLDER) if not source.stands_alone)
    path = sources(checkout) / f"{wrong}.yaml"
    path.write_text(re.sub(r"from: \d{4}-\d\d", "from: 2019-13", path.read_text(), count=1))
    (line,) = (number for number, text in enumerate(path.read_text().splitlines(), 1) if "2019-13" in text)

    dags, errors, compared = parsed(checkout)

    others = [name for name in NAMES if name != wrong]
    assert dags == OTHERS.union(*(OF_SOURCES[name] for name in others))
    assert list(errors) == ["wrong_sources.py"]
    assert (
        f"{path}:{line}: releases[0].from is '2019-13': expected it to be a month (YYYY-MM)"
        in errors["wrong_sources.py"]
    )
    assert compared == others


def test_several_wrong_files_are_all_named_beside_a_new_one(checkout: Path) -> None:
    folder = sources(checkout)
    lime = yaml.safe_load((folder / f"{NAMES[0]}.yaml").read_text())
    (folder / "lime.yaml").write_text(yaml.safe_dump({**lime, "main_table": "lime_trips"}))
    (folder / "amber.yaml").write_text("title: [")
    (folder / "compare.yaml").write_text("")
    (folder / "monthly_report.yaml").write_text("")
    (folder / "mauve_gcp.yaml").write_text("")
    (folder / "white.yaml").mkdir()

    dags, errors, _ = parsed(checkout)

    assert dags == OTHERS.union({"taxi_lime", "taxi_lime_gcp"}, *OF_SOURCES.values())
    assert list(errors) == ["wrong_sources.py"]
    for name in ("amber", "compare", "monthly_report", "mauve_gcp", "white"):
        assert f"{folder / name}.yaml: " in errors["wrong_sources.py"]


def test_without_a_sound_source_the_cloud_can_still_be_set_up(checkout: Path) -> None:
    for path in sources(checkout).glob("*.yaml"):
        path.write_text("title: x")

    dags, errors, _ = parsed(checkout)

    assert dags == {"gcp_setup", "taxi_maintenance", "taxi_watch", *LEARNING}
    assert list(errors) == ["wrong_sources.py"]


def test_the_task_of_a_wrong_source_says_what_is_wrong(checkout: Path) -> None:
    """Airflow imports the file of its DAG in the task's process, and asks for this DAG alone."""
    path = sources(checkout) / f"{NAMES[0]}.yaml"
    path.write_text("title: x")
    done = subprocess.run(
        [sys.executable, str(checkout / "dags" / "taxi.py")],
        env={
            **os.environ,
            "PYTHONPATH": str(checkout / "plugins"),
            "_AIRFLOW_PARSING_CONTEXT_DAG_ID": f"taxi_{NAMES[0]}",
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.returncode == 1
    assert f"SourceConfigError: {path}:1: missing keys: releases, main_table" in done.stderr
