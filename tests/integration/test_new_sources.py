"""A new YAML file is all that a new source needs: in a copy of the checkout, with the project's own tests."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from taxiway.paths import ROOT

COPIED = ("config", "dags", "docs", "include", "plugins", "stand_ins", "tests", "pyproject.toml")

MONTHLY = """\
# yaml-language-server: $schema=source.schema.json
title: Trips of bicycles
releases:
  - {from: 2020-02, to: 2021-01, connection: bicycles, path: "old/trips-{month}.csv.gz", format: csv.gz}
  - {from: 2021-02, to: 2021-12, connection: bicycles, path: "new/trips-{month}.csv", format: csv}
  - {from: 2022-01, connection: bicycles, path: "new/trips-{month}.parquet", format: parquet}
schedule: "30 4 5 * *"
timezone: Europe/Paris
main_table: bicycle_trips
owner: bicycles
tags: [bicycles]
columns:
  - {name: Ride, type: text, description: number of the ride}
  - {name: Started, type: timestamp, description: when the ride began}
  - {name: Price, type: numeric, description: euros}
  - {name: Helmet, type: integer, description: helmets that were lent, since: 2021-03}
"""

SINGLE = """\
# yaml-language-server: $schema=source.schema.json
title: Stations of bicycles
period: none
schedule: "15 5 * * 1"
releases:
  - {connection: bicycles, path: stations.csv.gz, format: csv.gz}
main_table: bicycle_stations
owner: bicycles
tags: [bicycles]
columns:
  - {name: Station, type: integer, description: number of the station}
  - {name: Place, type: text, description: where it is}
"""


def test_new_sources_have_dags_and_are_loaded_into_both_warehouses(tmp_path: Path) -> None:
    checkout = tmp_path / "another checkout"
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            # With its compiled modules, but for those that another process is writing.
            shutil.copytree(source, checkout / name, ignore=shutil.ignore_patterns("*.pyc.*"))
        else:
            shutil.copy(source, checkout / name)
    sources = checkout / "include" / "sources"
    (sources / "bicycles.yaml").write_text(MONTHLY)
    (sources / "stations.yaml").write_text(SINGLE)

    said = run_tests(
        checkout,
        *("tests/dags/test_integrity.py", "tests/dags/test_gcp_integrity.py", "tests/conformance/test_every_source.py"),
        *("-k", "integrity or bicycles or stations"),
    )

    # A month of each release of both sources, in each of both warehouses.
    assert len(re.findall(r"^tests/conformance/test_every_source\.py::.* PASSED", said, re.MULTILINE)) == 8
    for name in ("bicycles", "stations"):
        assert re.search(rf"^tests/dags/test_\w+\.py::.*\[{name}\] PASSED", said, re.MULTILINE), name


def run_tests(checkout: Path, *arguments: str) -> str:
    """Run tests of a checkout; return what they print."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-v", "-p", "no:cacheprovider", "-n", "0", *arguments],
        cwd=checkout,
        env={**os.environ, "PYTHONPATH": f"{checkout / 'plugins'}{os.pathsep}{checkout}"},
        capture_output=True,
        text=True,
        timeout=1200,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr
    assert f"rootdir: {checkout}" in done.stdout
    return done.stdout
