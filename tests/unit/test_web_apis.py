"""The stand-in for Docker Hub and the products' REST API answers as they do, and leads Airflow to itself."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from stand_ins.web_apis import PRODUCTS, PULLS, WebApis
from taxiway.paths import ROOT


@pytest.fixture
def apis() -> Iterator[WebApis]:
    with WebApis() as apis:
        yield apis


def get(address: str) -> tuple[int, dict[str, Any]]:
    try:
        with urllib.request.urlopen(address, timeout=10) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def test_it_answers_the_pulls_of_an_image(apis: WebApis) -> None:
    status, found = get(f"{apis.url}/v2/repositories/kestra/kestra/")

    assert (status, found["namespace"], found["name"]) == (200, "kestra", "kestra")
    assert found["pull_count"] == PULLS["kestra/kestra"]
    assert apis.requests == ["/v2/repositories/kestra/kestra/"]


def test_an_image_may_lack_the_field(apis: WebApis) -> None:
    status, found = get(f"{apis.url}/v2/repositories/library/postgres/")

    assert (status, "pull_count" in found) == (200, False)


@pytest.mark.parametrize("path", ["/", "/v2/repositories/kestra/", "/v2/repositories/no/such/", "/products/1"])
def test_anything_else_is_not_found(apis: WebApis, path: str) -> None:
    assert get(apis.url + path) == (404, {"message": f"nothing at {path}"})


def test_it_answers_products_some_without_a_brand_or_a_price(apis: WebApis) -> None:
    status, found = get(f"{apis.url}/products")

    assert (status, found["products"], found["total"]) == (200, PRODUCTS, len(PRODUCTS))
    assert {name for product in PRODUCTS for name in ("brand", "price") if name not in product} == {"brand", "price"}


def test_as_a_command_it_prints_connections_that_lead_to_it() -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "stand_ins.web_apis"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        lines = [process.stdout.readline().strip() for _ in range(2)]
        names, values = zip(*(line.split("=", 1) for line in lines), strict=True)
        assert names == ("AIRFLOW_CONN_DOCKER_HUB", "AIRFLOW_CONN_PRODUCTS_API")
        (address,) = {json.loads(value.strip("'"))["host"] for value in values}
        assert get(f"{address}/products")[0] == 200
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.communicate()
