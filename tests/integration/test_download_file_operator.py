"""The operator takes its mirror from a connection and its settings from Variables, and says what a retry can't fix."""

from __future__ import annotations

import base64
import json
import logging
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from taxiway.download.mirror_address import mirror_address
from taxiway.errors import DownloadError, MonthNotFoundError, SettingError, TaxiwayError
from tests.mirror_faults import FaultyMirror, cut_off, good, html_page, status
from tests.month_files import PATH, files_below, month_file

BODY = month_file()


@pytest.fixture(scope="module", autouse=True)
def _airflow() -> None:
    """Load Airflow before the tests: when first loaded it takes over the logging, and with it what caplog sees."""
    import airflow.settings  # noqa: F401


@pytest.fixture
def mirror(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[FaultyMirror]:
    """A mirror, the connection to it, and a cache of this test's own."""
    with FaultyMirror() as server:
        monkeypatch.setenv("AIRFLOW_CONN_TLC_MIRROR", server.url)
        monkeypatch.setenv("AIRFLOW_VAR_TAXIWAY_CACHE_FOLDER", str(tmp_path / "cache"))
        server.put(PATH, BODY)
        yield server


def download(params: dict[str, object] | None = None, **options: Any) -> dict[str, Any]:
    """Render and execute the operator as a task does."""
    from taxiway.orchestration.operators.download_file import DownloadFileOperator

    options = {"source_name": "green", "month": "{{ params.month }}"} | options
    operator = DownloadFileOperator(task_id="download_month", **options)
    operator.render_template_fields({"params": {"month": "2019-03"} | (params or {})})  # type: ignore[typeddict-item]
    return operator.execute({})


def test_result_is_plain_values(mirror: FaultyMirror, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    result = download()
    assert json.loads(json.dumps(result)) == result
    assert set(result) == {"path", "url", "etag", "last_modified", "size", "sha256", "from_cache", "unpacked_bytes"}
    assert Path(result["path"]).read_bytes() == BODY
    assert Path(result["path"]).is_relative_to(tmp_path / "cache")
    assert "green 2019-03: fetched" in caplog.text
    assert download()["from_cache"]
    assert "green 2019-03: unchanged, taken from the cache" in caplog.text


@pytest.mark.parametrize(
    ("option", "variable", "from_cache"),
    [
        ({}, None, True),
        ({}, "false", False),
        ({"use_cache": False}, None, False),
        ({"use_cache": True}, "false", True),
        ({"use_cache": "{{ params.use_cache }}"}, "true", False),
        ({"use_cache": "{{ params.none }}"}, "false", False),
        ({"use_cache": "{{ params.none }}"}, None, True),
    ],
)
def test_use_of_the_cache_is_set(
    mirror: FaultyMirror,
    monkeypatch: pytest.MonkeyPatch,
    option: dict[str, Any],
    variable: str | None,
    from_cache: bool,
) -> None:
    download()
    if variable is not None:
        monkeypatch.setenv("AIRFLOW_VAR_TAXIWAY_USE_CACHE", variable)
    assert download({"use_cache": False, "none": None}, **option)["from_cache"] is from_cache


def test_limit_is_set(mirror: FaultyMirror, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    download(cache_limit="1 GB")
    assert "over its limit" not in caplog.text
    monkeypatch.setenv("AIRFLOW_VAR_TAXIWAY_CACHE_LIMIT", "1 kB")
    download(use_cache=False)
    assert "over its limit of 1.0 kB" in caplog.text


def test_folder_is_set(mirror: FaultyMirror, tmp_path: Path) -> None:
    result = download(cache_folder=str(tmp_path / "other"))
    assert Path(result["path"]).is_relative_to(tmp_path / "other")


@pytest.mark.parametrize(
    ("script", "cause"),
    [
        (status(404), "MonthNotFoundError"),
        (status(403), "DownloadRefusedError"),
        (html_page(), "InvalidFileError"),
        (good(BODY, length=2 * 1024**3), "FileTooLargeError"),
        (status(429, retry_after="3600"), "RetryAfterTooLongError"),
    ],
)
def test_what_a_retry_can_not_mend_fails_at_once(mirror: FaultyMirror, script: Any, cause: str) -> None:
    from airflow.sdk.exceptions import AirflowFailException

    mirror.script(PATH, script)
    with pytest.raises(AirflowFailException, match=r"^green 2019-03: http") as caught:
        download()
    assert isinstance(caught.value.__context__, TaxiwayError)
    assert type(caught.value.__context__).__name__ == cause
    assert str(caught.value) == str(caught.value.__context__)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"month": "2019-13"}, "'2019-13' is not a month"),
        ({"source_name": "purple"}, "purple"),
        ({"cache_limit": "much"}, "taxiway_cache_limit is 'much'"),
        ({"use_cache": "perhaps"}, "taxiway_use_cache is 'perhaps'"),
    ],
)
def test_wrong_settings_fail_at_once(mirror: FaultyMirror, options: dict[str, str], message: str) -> None:
    from airflow.sdk.exceptions import AirflowFailException

    with pytest.raises(AirflowFailException, match=message):
        download(**options)
    assert mirror.seen == []


def test_what_a_retry_may_mend_is_left_to_retries(mirror: FaultyMirror, tmp_path: Path) -> None:
    mirror.script(PATH, cut_off(BODY, 1000), status(503, retry_after="3"))
    with pytest.raises(DownloadError):
        download()
    with pytest.raises(DownloadError) as caught:
        download()
    assert caught.value.retry_after == 3
    assert download()["size"] == len(BODY)
    assert [seen.status for seen in mirror.seen] == [200, 503, 206]
    assert files_below(tmp_path) == {"", ".json"}


def test_connection_with_credentials_headers_and_timeout(mirror: FaultyMirror, monkeypatch: pytest.MonkeyPatch) -> None:
    connection = {
        "conn_type": "http",
        "host": mirror.url + "/files",
        "login": "reader",
        "password": "p@ss",
        "extra": {"X-Api-Key": "key", "timeout": 30},
    }
    monkeypatch.setenv("AIRFLOW_CONN_TLC_MIRROR", json.dumps(connection))
    mirror.put("/files" + PATH, BODY)
    result = download()
    assert mirror.seen[0].headers["authorization"] == "Basic " + base64.b64encode(b"reader:p@ss").decode()
    assert mirror.seen[0].headers["x-api-key"] == "key"
    assert "timeout" not in mirror.seen[0].headers
    assert result["url"] == mirror.url + "/files" + PATH
    assert "p@ss" not in json.dumps(result)


def test_timeout_that_is_none_fails_at_once(mirror: FaultyMirror, monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow.sdk.exceptions import AirflowFailException

    monkeypatch.setenv("AIRFLOW_CONN_TLC_MIRROR", f"{mirror.url}/?timeout=soon")
    with pytest.raises(AirflowFailException, match="tlc_mirror: timeout in its extra is 'soon'"):
        download()


def test_connection_can_be_another(mirror: FaultyMirror, monkeypatch: pytest.MonkeyPatch) -> None:
    with FaultyMirror() as other:
        other.script(PATH, status(404))
        monkeypatch.setenv("AIRFLOW_CONN_OTHER", other.url)
        with pytest.raises(Exception, match="404") as caught:
            download(http_conn_id="other")
    assert isinstance(caught.value.__context__, MonthNotFoundError)
    assert mirror.seen == []


RELEASES = "https://github.com/DataTalksClub/nyc-tlc-data/releases/download"


@pytest.mark.parametrize(
    ("connection", "address"),
    [
        (RELEASES, RELEASES),
        (json.dumps({"conn_type": "http", "host": RELEASES}), RELEASES),
        (json.dumps({"conn_type": "http", "host": RELEASES + "/", "schema": "https"}), RELEASES),
        (json.dumps({"conn_type": "http", "host": "github.com", "schema": "https"}), "https://github.com"),
        (json.dumps({"conn_type": "http", "host": "https://h/a", "port": 8443}), "https://h:8443/a"),
        (json.dumps({"conn_type": "http", "host": "h", "port": 80, "schema": "a/b"}), "http://h:80/a/b"),
        (f"http://{quote(RELEASES, safe='')}", RELEASES),
        ("http://127.0.0.1:8000", "http://127.0.0.1:8000"),
        ("http://127.0.0.1:8000/files/2019/", "http://127.0.0.1:8000/files/2019"),
        ("http://[::1]:8000/files", "http://[::1]:8000/files"),
        ("https://reader:secret@h/files?timeout=5", "https://h/files"),
        # Without a scheme, of which Airflow makes something else.
        ("127.0.0.1:8901", "http://127.0.0.1:8901"),
        ("localhost:8901/files/", "http://localhost:8901/files"),
        ("h.example/files", "http://h.example/files"),
        ("[::1]:8901", "http://[::1]:8901"),
        ("//127.0.0.1:8901/files", "http://127.0.0.1:8901/files"),
    ],
)
def test_address_is_the_one_that_was_written(monkeypatch: pytest.MonkeyPatch, connection: str, address: str) -> None:
    from taxiway.orchestration.hooks.mirror_hook import MirrorHook

    monkeypatch.setenv("AIRFLOW_CONN_TLC_MIRROR", connection)
    hook = MirrorHook(method="GET", http_conn_id="tlc_mirror")
    with hook.get_conn():
        assert hook.base_url == address


def test_address_that_is_none_is_named() -> None:
    with pytest.raises(
        SettingError,
        match=r"the mirror's connection has the host 'http://h'; expected an address, with a number as its port",
    ):
        mirror_address("http", "http://h:port", None, None)


def policy_decision(error: Exception, try_number: int, **options: Any) -> Any:
    """Ask the policy as a worker does."""
    from taxiway.orchestration.operators.download_file import DownloadFileOperator
    from taxiway.orchestration.retry_after import RetryAfterPolicy

    policy = RetryAfterPolicy()
    task = DownloadFileOperator(
        task_id="download_month", source_name="green", month="2019-03", retry_policy=policy, **options
    )
    return policy.evaluate(error, try_number, 3, {"task": task})  # type: ignore[typeddict-item]


@pytest.mark.parametrize(
    ("asked", "try_number", "waits"),
    [(0, 1, None), (10, 1, None), (10.5, 1, 11), (20, 2, None), (21, 2, 21), (25, 9, None), (26, 9, 26), (900, 1, 900)],
)
def test_the_longer_of_two_delays_counts(asked: float, try_number: int, waits: int | None) -> None:
    """By itself, the task waits at least 10 s, 20 s and then 25 s."""
    from airflow.sdk import RetryDecision

    decision = policy_decision(
        DownloadError("busy", retry_after=asked),
        try_number,
        retry_delay=timedelta(seconds=10),
        retry_exponential_backoff=2.0,
        max_retry_delay=timedelta(seconds=25),
    )
    asks = None if waits is None else f"the mirror asks to wait {asked:.0f} s"
    expected = RetryDecision.default() if waits is None else RetryDecision.retry(timedelta(seconds=waits), asks)
    assert decision == expected


@pytest.mark.parametrize("error", [DownloadError("cut off"), TaxiwayError("else"), ValueError("else")])
def test_without_a_wish_the_tasks_own_delay_counts(error: Exception) -> None:
    from airflow.sdk import RetryDecision

    assert policy_decision(error, 1) == RetryDecision.default()
