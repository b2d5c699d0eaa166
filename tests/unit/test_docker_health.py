"""The containers' health check, docker/health.py, over HTTP."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.compose_file import AIRFLOW_SERVICES, ROOT, services

PATH = "/api/v2/monitor/health"


def installed_api() -> dict[str, Any]:
    spec = find_spec("airflow")
    assert spec is not None
    assert spec.origin is not None
    folder = Path(spec.origin).parent / "api_fastapi" / "core_api" / "openapi"
    text = (folder / "v2-rest-api-generated.yaml").read_text(encoding="utf-8")
    described: dict[str, Any] = yaml.load(text, Loader=yaml.CSafeLoader)
    return described


@contextmanager
def api_server(status: int, body: str) -> Iterator[str]:
    """Serve one answer at the health endpoint's path, and 404 elsewhere; yield the execution API's address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status if self.path == PATH else 404)
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *arguments: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield f"http://127.0.0.1:{http.server_port}/execution/"
        finally:
            http.shutdown()
            thread.join()


def health(component: str, address: str) -> subprocess.CompletedProcess[str]:
    environment = {"AIRFLOW__CORE__EXECUTION_API_SERVER_URL": address}
    command = [sys.executable, str(ROOT / "docker" / "health.py"), component]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)


def checked_components() -> list[str]:
    return [services()[name]["healthcheck"]["test"][-1] for name in sorted(AIRFLOW_SERVICES)]


def test_the_installed_airflow_answers_what_the_health_check_reads() -> None:
    described = installed_api()
    operation = described["paths"][PATH]["get"]
    assert "security" not in operation  # no login
    (schema,) = [s["schema"]["$ref"].rsplit("/", 1)[1] for s in operation["responses"]["200"]["content"].values()]
    assert set(checked_components()) <= set(described["components"]["schemas"][schema]["properties"])


@pytest.mark.parametrize("component", checked_components())
@pytest.mark.parametrize(("status", "code"), [("healthy", 0), ("unhealthy", 1), (None, 1)])
def test_health_is_the_component_s_own(component: str, status: str | None, code: int) -> None:
    others = "unhealthy" if status == "healthy" else "healthy"
    answer = {name: {"status": others} for name in checked_components()} | {component: {"status": status}}
    with api_server(200, json.dumps(answer)) as address:
        done = health(component, address)
    assert (done.returncode, done.stdout) == (code, f"{component}: {status or 'never started'}\n")


@pytest.mark.parametrize(
    ("status", "body", "reason"),
    [
        (500, "{}", "HTTP Error 500"),
        (200, "<html>", "Expecting value"),
        (200, '{"metadatabase": {"status": "healthy"}}', "answered without 'scheduler'"),
    ],
)
def test_an_answer_that_is_none_is_unhealthy_with_the_reason(status: int, body: str, reason: str) -> None:
    with api_server(status, body) as address:
        done = health("scheduler", address)
    assert done.returncode == 1
    assert reason in done.stderr


def test_no_api_server_or_no_component_is_unhealthy() -> None:
    with api_server(200, "{}") as address:
        pass
    refused = health("scheduler", address)
    assert refused.returncode == 1
    assert "refused" in refused.stderr
    assert "expected an http address" in health("scheduler", "").stderr
    unknown = health("webserver", address)
    assert unknown.returncode == 1
    assert "expected one of metadatabase, scheduler" in unknown.stderr
