"""A proxy in the environment, for each library that asks for it: loopback goes past it, downloads through it."""

from __future__ import annotations

import os
import urllib.request
from collections.abc import Callable, Iterator

import httpx
import pytest
from requests.utils import get_environ_proxies

from taxiway.proxies import spare_loopback

PROXY = "http://proxy.example:3128"
OWN = ["http://127.0.0.1:8080/execution/", "http://localhost:8080/", "http://airflow-apiserver:8080/execution/"]


def by_urllib(url: str) -> bool:
    host = urllib.request.Request(url).host
    return bool(urllib.request.getproxies()) and not urllib.request.proxy_bypass(host)


def by_requests(url: str) -> bool:
    return bool(get_environ_proxies(url))


def by_httpx(url: str) -> bool:
    with httpx.Client() as client:
        return client._transport_for_url(httpx.URL(url)) is not client._transport


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    names = [
        name for lower in ("http_proxy", "https_proxy", "all_proxy", "no_proxy") for name in (lower, lower.upper())
    ]
    for name in names:
        monkeypatch.delenv(name, raising=False)
    yield monkeypatch
    for name in names:
        os.environ.pop(name, None)


@pytest.mark.parametrize(
    ("proxied", "name"),
    [
        (library, name)
        for library in (by_urllib, by_requests, by_httpx)
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY")
        if library is not by_urllib or "all" not in name.lower()  # urllib knows no proxy for all schemes
    ],
)
@pytest.mark.parametrize("excluded", [None, "no_proxy", "NO_PROXY"])
def test_this_machine_is_asked_directly_and_others_through_the_proxy(
    proxied: Callable[[str], bool], name: str, excluded: str | None, environment: pytest.MonkeyPatch
) -> None:
    environment.setenv(name, PROXY)
    environment.setenv("AIRFLOW__CORE__EXECUTION_API_SERVER_URL", OWN[-1])
    if excluded:
        environment.setenv(excluded, "mirror.example, .intern.example")

    spare_loopback(os.environ)

    assert [url for url in OWN if proxied(url)] == []
    assert proxied("http://files.example/green/2019-01.csv.gz")
    assert proxied("http://mirror.example/green/2019-01.csv.gz") is (excluded is None)


def test_ipv6_is_asked_directly(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("HTTP_PROXY", PROXY)
    spare_loopback(os.environ)

    assert not by_requests("http://[::1]:8901/")
    assert not by_httpx("http://[::1]:8901/")


def test_what_excludes_everything_stays() -> None:
    given = {"HTTPS_PROXY": PROXY, "NO_PROXY": "*"}
    spare_loopback(given)

    assert given == {"HTTPS_PROXY": PROXY, "NO_PROXY": "*"}


def test_twice_adds_nothing() -> None:
    given = {"HTTPS_PROXY": PROXY, "NO_PROXY": "localhost"}
    spare_loopback(given)
    once = dict(given)
    spare_loopback(given)

    assert given == once
    assert once["no_proxy"] == once["NO_PROXY"] == "localhost,127.0.0.1,::1"


@pytest.mark.parametrize("given", [{}, {"NO_PROXY": "mirror.example"}, {"http_proxy": ""}])
def test_without_a_proxy_nothing_is_set(given: dict[str, str]) -> None:
    """On macOS a variable for exceptions alone would hide the proxies of the system's settings."""
    before = dict(given)
    spare_loopback(given)

    assert given == before
