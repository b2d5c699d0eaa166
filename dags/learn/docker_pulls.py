"""## Python with packages of its own

Stands for the course's flow `02_python`. A run asks Docker Hub how often `image` was pulled, and returns the count and
how long the request took.

| the course's word | here |
|---|---|
| script task in a container | `@task.virtualenv`: a Python environment of this task alone, without Airflow |
| dependencies | `docker_pulls.txt`: each package with version and hash. `make lock` makes it from `docker_pulls.in` |
| task cache | `venv_cache_path`: pip installs at the first run; later runs take the environment from there |
| output | what the task returns, each key as an XCom of its own: `downloads`, `seconds` |
| metric | `seconds`, the duration of the request |

The connection `docker_hub` says where to ask. Run `airflow dags test docker_pulls`.
"""

from __future__ import annotations

import sys
from datetime import datetime, timedelta, timezone
from hashlib import sha256
from pathlib import Path
from typing import Any

from airflow.sdk import DAG, Param, task

from taxiway.orchestration.known_conf import refuse_unknown_conf
from taxiway.paths import LEARN_FOLDER

LOCK = Path(__file__).with_suffix(".txt")

with DAG(
    "docker_pulls",
    description="Asks Docker Hub how often an image was pulled",
    doc_md=__doc__,
    schedule=None,
    start_date=datetime(2026, 1, 1, tzinfo=timezone.utc),
    tags=["learn"],
    params={
        "image": Param(
            "kestra/kestra",
            type="string",
            pattern=r"^([a-z0-9_-]+/)?[a-z0-9][a-z0-9._-]*$",
            title="Image",
            description="An image of Docker Hub, such as apache/airflow or postgres",
        )
    },
    default_args={
        "owner": "taxiway",
        "retries": 2,
        "retry_delay": timedelta(seconds=5),
        "execution_timeout": timedelta(minutes=5),
        "pre_execute": refuse_unknown_conf,
    },
) as dag:

    @task.virtualenv(
        # Airflow reads no hashes among its own requirements: pip gets the lock itself. The comment makes a new
        # environment when the lock has changed.
        requirements=[f"# {LOCK.name}: {sha256(LOCK.read_bytes()).hexdigest()}"],
        pip_install_options=["--no-user", "--no-deps", "--require-hashes", "--requirement", str(LOCK)],
        python_version=f"{sys.version_info.major}.{sys.version_info.minor}",
        system_site_packages=False,
        expect_airflow=False,
        venv_cache_path=LEARN_FOLDER / "environments",
    )
    def ask_docker_hub(address: str, image: str) -> dict[str, Any]:
        """Ask, in an environment that has what `docker_pulls.txt` names: a task imports what it needs itself."""
        import requests

        repository = image if "/" in image else f"library/{image}"
        answer = requests.get(f"{address}/v2/repositories/{repository}/", timeout=30)
        answer.raise_for_status()
        downloads = answer.json().get("pull_count", "Not available")
        seconds = answer.elapsed.total_seconds()
        print(f"{image}: {downloads} downloads; the request took {seconds} s")
        return {"downloads": downloads, "seconds": seconds}

    ask_docker_hub("{{ conn.docker_hub.host }}", "{{ params.image }}")
