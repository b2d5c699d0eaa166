"""Answers that aren't the file, the mirror's or a proxy's: each is called what it is, and its advice leads on."""

from __future__ import annotations

import base64
import socket
import socketserver
import traceback
from dataclasses import replace

import pytest
import requests

from taxiway.download.cache import Cache
from taxiway.download.download import Download, download_month
from taxiway.errors import (
    DownloadError,
    DownloadRefusedError,
    InvalidFileError,
    MonthNotFoundError,
    TaxiwayError,
)
from taxiway.sources.months import Month
from tests.mirror_faults import Answer, FaultyMirror, html_page, raw_server, status
from tests.month_files import GREEN, MONTH, PATH, fetch, month_file
from tests.releases import ending
from tests.socks_proxy import SocksProxy, served

BODY = month_file()
S3 = '<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{}</Code><Message>Said by storage</Message></Error>'
NAMED = "http://mirror.test"
"""An address that only a proxy can lead to."""


def storage(code: int, name: str) -> Answer:
    return Answer(S3.format(name).encode(), code, {"Content-Type": "application/xml"}, conditional=False, ranges=False)


ABSENT = "The mirror doesn't have it: check whether this month is published"
HIDDEN = "It is absent or private: such storage answers both alike. Check whether this month is published"
LOGIN = "The mirror wants a login"
WRONG_LOGIN = "The mirror doesn't accept the login"
FORBIDDEN = "The mirror refuses the file to this client"
AGAIN = "The task is tried again; if that goes on failing"


@pytest.mark.parametrize(
    ("answer", "kind", "said"),
    [
        (storage(403, "AccessDenied"), MonthNotFoundError, HIDDEN),
        (storage(403, "AllAccessDisabled"), MonthNotFoundError, HIDDEN),
        (storage(409, "PublicAccessNotPermitted"), MonthNotFoundError, HIDDEN),
        (storage(404, "NoSuchKey"), MonthNotFoundError, ABSENT),
        (storage(404, "NoSuchBucket"), MonthNotFoundError, ABSENT),
        (storage(403, "NoSuchKey"), MonthNotFoundError, ABSENT),
        (storage(404, "BlobNotFound"), MonthNotFoundError, ABSENT),
        (storage(403, "InvalidAccessKeyId"), DownloadRefusedError, WRONG_LOGIN),
        (storage(400, "ExpiredToken"), DownloadRefusedError, WRONG_LOGIN),
        (storage(503, "SlowDown"), DownloadError, AGAIN),
        (storage(403, "SlowDown"), DownloadError, AGAIN),
        (html_page("ERROR: The request could not be satisfied", 403), DownloadRefusedError, FORBIDDEN),
        (status(403), DownloadRefusedError, FORBIDDEN),
        (status(410), MonthNotFoundError, ABSENT),
        (status(401), DownloadRefusedError, LOGIN),
        (status(451), DownloadRefusedError, "set the address of another mirror"),
        (status(429), DownloadError, AGAIN),
        (status(500), DownloadError, AGAIN),
        (html_page("Bad gateway", 502), DownloadError, AGAIN),
        (status(400), DownloadRefusedError, "correct the connection's address or the source's path"),
        (html_page("Sign in"), InvalidFileError, "If it asks for a login, set login and password"),
    ],
    ids=lambda value: str(value.status) if isinstance(value, Answer) else None,
)
def test_an_answer_is_called_what_it_is(
    mirror: FaultyMirror, cache: Cache, answer: Answer, kind: type[TaxiwayError], said: str
) -> None:
    mirror.put(PATH, answer)
    with pytest.raises(TaxiwayError) as caught:
        fetch(mirror, cache)
    message = str(caught.value)
    assert type(caught.value) is kind
    assert message.startswith(f"green 2019-03: {mirror.url}{PATH}: ")
    assert said in message
    assert (LOGIN in message) == (said == LOGIN)
    if answer.headers.get("Content-Type") == "application/xml":
        name = answer.body.decode().partition("<Code>")[2].partition("<")[0]
        assert f"the answer is {answer.status} " in message
        assert f", {name}; expected the month's file" in message
    elif b"<title>" in answer.body:
        assert answer.body.decode().partition("<title>")[2].partition("<")[0] in message


def test_a_month_that_the_mirror_lacks_is_skipped_once_the_source_says_so(mirror: FaultyMirror, cache: Cache) -> None:
    for answer in (storage(403, "AccessDenied"), status(404)):
        mirror.put(PATH, answer)
        with pytest.raises(MonthNotFoundError, match="set 'to' of its last release in its YAML file") as caught:
            fetch(mirror, cache)
        assert str(caught.value).startswith(f"{caught.value.found}; expected the month's file. ")
    assert GREEN.why_unavailable(MONTH) is None
    assert ending(GREEN, Month(2019, 2)).why_unavailable(MONTH) is not None


def fetched(address: str, cache: Cache, **proxies: str) -> Download:
    with requests.Session() as session:
        session.proxies.update(proxies)
        return download_month(session, address, GREEN, MONTH, cache)


def test_the_login_that_is_asked_for_opens_the_mirror(mirror: FaultyMirror, cache: Cache) -> None:
    mirror.script(PATH, status(401), status(401))
    mirror.put(PATH, BODY)
    with pytest.raises(DownloadRefusedError, match="set login and password in its connection"):
        fetch(mirror, cache)
    address = mirror.url.replace("//", "//me:secret@")
    with pytest.raises(DownloadRefusedError, match="doesn't accept the login") as caught:
        fetched(address, cache)
    assert "secret" not in str(caught.value)
    assert fetched(address, cache).size == len(BODY)
    assert ["authorization" in seen.headers for seen in mirror.seen] == [False, True, True]


def test_a_body_that_does_not_end_does_not_matter(mirror: FaultyMirror, cache: Cache) -> None:
    mirror.put(PATH, replace(storage(403, "AccessDenied"), length=10**9, cut_after=len(S3)))
    with pytest.raises(MonthNotFoundError, match="AccessDenied"):
        fetch(mirror, cache)


# --- proxies ---


@pytest.fixture
def proxied(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """The environment without any proxy of this machine."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    return monkeypatch


def test_a_download_goes_through_the_proxy(mirror: FaultyMirror, cache: Cache, proxied: pytest.MonkeyPatch) -> None:
    mirror.put(NAMED + PATH, BODY)
    proxied.setenv("http_proxy", mirror.url)
    assert fetched(NAMED, cache).size == len(BODY)
    proxied.delenv("http_proxy")
    assert fetched(NAMED, cache, http=mirror.url).from_cache
    assert [seen.path for seen in mirror.seen] == [NAMED + PATH] * 2


class AnsweringProxy(SocksProxy):
    """One that answers each request itself, with the month's file."""

    def handle(self) -> None:
        super().handle()
        while self.rfile.readline().strip():
            pass
        self.wfile.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(BODY) + BODY)


def test_a_download_goes_through_a_socks_proxy(cache: Cache, proxied: pytest.MonkeyPatch) -> None:
    asked: list[bytes] = []
    handler = type("Noting", (AnsweringProxy,), {"asked": asked})
    with served(socketserver.TCPServer(("127.0.0.1", 0), handler)) as (_, port):
        proxied.setenv("ALL_PROXY", f"socks5h://127.0.0.1:{port}")
        assert fetched(NAMED, cache).size == len(BODY)
    assert asked == [b"mirror.test"]


def test_a_proxy_that_wants_a_login_gets_it(mirror: FaultyMirror, cache: Cache, proxied: pytest.MonkeyPatch) -> None:
    mirror.script(NAMED + PATH, status(407), status(407))
    mirror.put(NAMED + PATH, BODY)
    proxied.setenv("http_proxy", mirror.url)
    said = f"{NAMED}{PATH}, through the proxy {mirror.url}: the answer is 407 .*http://USER:PASSWORD@HOST:PORT"
    with pytest.raises(DownloadRefusedError, match=said):
        fetched(NAMED, cache)
    proxied.setenv("http_proxy", mirror.url.replace("//", "//me:secret@"))
    with pytest.raises(DownloadRefusedError, match=said) as caught:
        fetched(NAMED, cache)
    assert "secret" not in str(caught.value)
    assert fetched(NAMED, cache).size == len(BODY)
    assert ["proxy-authorization" in seen.headers for seen in mirror.seen] == [False, True, True]


def test_a_proxy_s_page_in_the_file_s_place(mirror: FaultyMirror, cache: Cache, proxied: pytest.MonkeyPatch) -> None:
    mirror.script(NAMED + PATH, html_page("The requested URL could not be retrieved", 503), html_page("Guest network"))
    proxied.setenv("http_proxy", mirror.url)
    through = f"{NAMED}{PATH}, through the proxy {mirror.url}: "
    with pytest.raises(DownloadError, match=f"{through}the answer is 503 .*title 'The requested URL could not be"):
        fetched(NAMED, cache)
    with pytest.raises(InvalidFileError, match=f"{through}found an HTML page .*title 'Guest network'"):
        fetched(NAMED, cache)


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxy_that_does_not_run(
    scheme: str, mirror: FaultyMirror, cache: Cache, proxied: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        proxy = f"http://127.0.0.1:{closed.getsockname()[1]}"
    proxied.setenv(f"{scheme}_proxy", proxy)
    with pytest.raises(
        DownloadError, match=f"through the proxy {proxy}: no answer from the proxy: .*refused"
    ) as caught:
        fetched(NAMED.replace("http", scheme), cache)
    assert "name a mirror that needs no proxy in no_proxy" in str(caught.value)
    if scheme == "http":
        mirror.put(PATH, BODY)
        proxied.setenv("no_proxy", "127.0.0.1")
        assert fetch(mirror, cache).size == len(BODY)


@pytest.mark.parametrize(
    ("answer", "kind", "said"),
    [
        (407, DownloadRefusedError, "http://USER:PASSWORD@HOST:PORT"),
        (403, DownloadRefusedError, "Ask the proxy's administrator to allow the mirror"),
        (503, DownloadError, AGAIN),
    ],
)
def test_a_proxy_that_makes_no_tunnel(
    answer: int, kind: type[TaxiwayError], said: str, cache: Cache, proxied: pytest.MonkeyPatch
) -> None:
    with raw_server(b"HTTP/1.1 %d Because\r\nContent-Length: 0\r\n\r\n" % answer) as proxy:
        proxied.setenv("https_proxy", proxy)
        with pytest.raises(TaxiwayError) as caught:
            fetched(NAMED.replace("http", "https"), cache)
    assert type(caught.value) is kind
    assert (
        f"through the proxy {proxy}: the proxy doesn't connect to the mirror: Tunnel connection failed: {answer}"
        in str(caught.value)
    )
    assert said in str(caught.value)


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize(
    ("proxy", "shown"),
    [
        ("http://me:sec/ret@127.0.0.1:1", "http://127.0.0.1:1"),
        ("http://me:se#cret@127.0.0.1:1", "http://127.0.0.1:1"),
        ("me:sec?ret@127.0.0.1:1", "127.0.0.1:1"),
        ("http://me:secret@127.0.0.1:80port", "http://127.0.0.1"),
        ("http://me:secret@", "http://"),
    ],
)
def test_a_proxy_s_password_is_shown_nowhere_and_how_to_write_it_is_said(
    proxy: str, shown: str, scheme: str, cache: Cache, proxied: pytest.MonkeyPatch
) -> None:
    proxied.setenv(f"{scheme}_proxy", proxy)
    with pytest.raises(DownloadRefusedError, match=f"through the proxy {shown}: this can't be asked for") as caught:
        fetched(NAMED.replace("http", scheme), cache)
    assert "write %2F for /, %3F for ?, %23 for #" in str(caught.value)
    said = "".join(traceback.format_exception(caught.value)).replace(__file__, "")
    assert [part for part in ("me:", "secret", "'sec", "'se", "cret", "ret@") if part in said] == []


def test_a_password_of_any_characters_reaches_the_proxy_as_errors_say(
    mirror: FaultyMirror, cache: Cache, proxied: pytest.MonkeyPatch
) -> None:
    mirror.put(NAMED + PATH, BODY)
    proxied.setenv("http_proxy", mirror.url.replace("//", "//me:%2F%3F%23%40@"))
    assert fetched(NAMED, cache).size == len(BODY)
    login = base64.b64encode(b"me:/?#@").decode()
    assert mirror.seen[0].headers["proxy-authorization"] == f"Basic {login}"


def test_a_header_that_can_t_be_sent_is_not_quoted(mirror: FaultyMirror, cache: Cache) -> None:
    with requests.Session() as session:
        session.headers["X-Api-Key"] = "secret\n"
        with pytest.raises(DownloadRefusedError, match="can't be asked for: an address or a header is wrong") as caught:
            download_month(session, mirror.url, GREEN, MONTH, cache)
    assert "secret" not in "".join(traceback.format_exception(caught.value)).replace(__file__, "")
    assert mirror.seen == []


def test_a_proxy_of_an_unknown_kind_is_called_so(cache: Cache, proxied: pytest.MonkeyPatch) -> None:
    proxied.setenv("http_proxy", "ftp://me:secret@127.0.0.1:1")
    with pytest.raises(DownloadRefusedError, match="can't be asked for: Proxy URL had unsupported scheme ftp"):
        fetched(NAMED, cache)
