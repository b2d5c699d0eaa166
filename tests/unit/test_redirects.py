"""Redirects lead to known hosts only, never to plain http, and take no credentials along."""

from __future__ import annotations

import base64
import ssl
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from ipaddress import ip_address
from pathlib import Path

import pytest
import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from taxiway.download.cache import Cache
from taxiway.download.download import download_month
from taxiway.errors import DownloadError, DownloadRefusedError, MonthNotFoundError
from tests.mirror_faults import Answer, FaultyMirror, cut_off, good, held, redirect, status
from tests.month_files import GREEN, MONTH, PATH, fetch, files_below, month_file

BODY = month_file()
SIGNED = "/assets/1234?signature=secret"


@pytest.fixture
def mirror() -> Iterator[FaultyMirror]:
    with FaultyMirror() as server:
        yield server


@pytest.fixture
def assets() -> Iterator[FaultyMirror]:
    """Another server, which the mirror redirects to."""
    with FaultyMirror() as server:
        server.put(SIGNED, BODY)
        yield server


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache", limit_bytes=10**9)


def refusal(mirror: FaultyMirror, cache: Cache, hosts: tuple[str, ...] = ()) -> str:
    with pytest.raises(DownloadRefusedError) as caught:
        fetch(mirror, cache, hosts=hosts)
    assert str(caught.value).startswith(f"green 2019-03: {mirror.url}{PATH} redirects ")
    assert "secret" not in str(caught.value)
    assert files_below(cache.folder) == set()
    return str(caught.value)


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
def test_redirect_on_the_mirror_is_followed(mirror: FaultyMirror, cache: Cache, code: int) -> None:
    mirror.script(PATH, redirect("../elsewhere.csv.gz", code))
    mirror.put("/elsewhere.csv.gz", BODY)
    download = fetch(mirror, cache)
    assert Path(download.path).read_bytes() == BODY
    assert download.url == mirror.url + PATH


def test_other_server_is_not_asked(mirror: FaultyMirror, assets: FaultyMirror, cache: Cache) -> None:
    mirror.script(PATH, redirect(assets.url + SIGNED))
    message = refusal(mirror, cache)
    assert f"on another server: {assets.url}; expected the mirror's own" in message
    assert f"add {assets.host} to allowed_redirect_hosts" in message
    assert assets.seen == []


def test_allowed_host_means_its_default_port(mirror: FaultyMirror, assets: FaultyMirror, cache: Cache) -> None:
    mirror.script(PATH, redirect(assets.url + SIGNED))
    refusal(mirror, cache, hosts=("127.0.0.1",))
    assert assets.seen == []


def test_same_address_under_another_name_is_another_host(mirror: FaultyMirror, cache: Cache) -> None:
    mirror.script(PATH, redirect(f"http://localhost:{mirror.port}/x"))
    assert f"http://localhost:{mirror.port}" in refusal(mirror, cache)


def test_allowed_server_is_asked_and_not_named_in_the_result(
    mirror: FaultyMirror, assets: FaultyMirror, cache: Cache
) -> None:
    mirror.put(PATH, redirect(assets.url + SIGNED))
    download = fetch(mirror, cache, hosts=(assets.host,))
    assert Path(download.path).read_bytes() == BODY
    assert download.url == mirror.url + PATH
    assert download.etag == good(BODY).etag
    assert "secret" not in "".join(path.read_text() for path in cache.folder.rglob("*.json"))
    assert fetch(mirror, cache, hosts=(assets.host,)).from_cache
    assert [seen.status for seen in assets.seen] == [200, 304]


def test_transfer_goes_on_behind_a_redirect(mirror: FaultyMirror, assets: FaultyMirror, cache: Cache) -> None:
    mirror.put(PATH, redirect(assets.url + SIGNED))
    assets.script(SIGNED, cut_off(BODY, 10_000))
    with pytest.raises(DownloadError):
        fetch(mirror, cache, hosts=(assets.host,))
    assert Path(fetch(mirror, cache, hosts=(assets.host,)).path).read_bytes() == BODY
    assert assets.sent == len(BODY)


def test_month_missing_behind_a_redirect_is_missing(mirror: FaultyMirror, assets: FaultyMirror, cache: Cache) -> None:
    mirror.put(PATH, redirect(assets.url + SIGNED))
    assets.script(SIGNED, status(404))
    with pytest.raises(MonthNotFoundError) as caught:
        fetch(mirror, cache, hosts=(assets.host,))
    assert "secret" not in str(caught.value)


def test_server_missing_behind_a_redirect_is_named_without_its_query(mirror: FaultyMirror, cache: Cache) -> None:
    with FaultyMirror() as gone:
        address, host = gone.url, gone.host
    mirror.put(PATH, redirect(address + SIGNED))
    with pytest.raises(DownloadError) as caught:
        fetch(mirror, cache, hosts=(host,))
    assert f"{address}/assets/1234: no answer" in str(caught.value)
    assert "secret" not in f"{caught.value} {caught.value.__cause__}"


def test_credentials_stay_at_the_mirror(mirror: FaultyMirror, assets: FaultyMirror, cache: Cache) -> None:
    mirror.put(
        PATH, replace(redirect(assets.url + SIGNED), headers={"Location": assets.url + SIGNED, "Set-Cookie": "a=b"})
    )
    source = replace(GREEN, allowed_redirect_hosts=(assets.host,))
    with requests.Session() as session:
        session.auth = ("reader", "password")
        session.headers["X-Api-Key"] = "key"
        session.headers["Accept-Encoding"] = "br"
        session.cookies.set("session", "cookie")
        download_month(session, mirror.url, source, MONTH, cache)

    at_mirror, at_assets = mirror.seen[0].headers, assets.seen[0].headers
    assert at_mirror["authorization"] == "Basic " + base64.b64encode(b"reader:password").decode()
    assert at_mirror["x-api-key"] == "key"
    assert at_mirror["cookie"] == "session=cookie"
    assert at_mirror["accept-encoding"] == at_assets["accept-encoding"] == "identity"
    assert set(at_assets) <= {"host", "accept-encoding", "connection", "user-agent", "accept"}


def test_user_in_the_address_is_used_and_shown_nowhere(mirror: FaultyMirror, cache: Cache) -> None:
    mirror.put(PATH, BODY)
    address = mirror.url.replace("//", "//reader:p%40ss@")
    with requests.Session() as session:
        download = download_month(session, address + "/", GREEN, MONTH, cache)
        mirror.script(PATH, status(404))
        with pytest.raises(MonthNotFoundError) as caught:
            download_month(session, address, GREEN, MONTH, cache)
    assert mirror.seen[0].headers["authorization"] == "Basic " + base64.b64encode(b"reader:p@ss").decode()
    assert mirror.seen[0].path == PATH
    shown = f"{download} {caught.value} {[str(path) for path in cache.folder.rglob('*')]}"
    assert "reader" not in shown
    assert "p%40ss" not in shown
    assert fetch(mirror, cache).from_cache


@pytest.mark.parametrize("password", ["sec/ret", "12/secret", "se#cret", "se?cret"])
def test_a_password_that_ends_the_address_early_is_not_asked_for_and_shown_nowhere(
    password: str, mirror: FaultyMirror, cache: Cache
) -> None:
    address = mirror.url.replace("//", f"//reader:{password}@")
    with requests.Session() as session, pytest.raises(DownloadRefusedError, match="write %2F for /") as caught:
        download_month(session, address, GREEN, MONTH, cache)
    assert f"the mirror's address is '{mirror.url}'" in str(caught.value)
    assert mirror.seen == []


@pytest.mark.parametrize("location", ["file:///etc/passwd", "ftp://127.0.0.1/x", "http://[::1", "data:,x"])
def test_redirect_that_is_no_web_address_is_refused(mirror: FaultyMirror, cache: Cache, location: str) -> None:
    mirror.script(PATH, redirect(location))
    assert "expected an http or https address" in refusal(mirror, cache)


def test_redirect_without_a_target_is_refused(mirror: FaultyMirror, cache: Cache) -> None:
    mirror.script(PATH, Answer(b"", 302))
    with pytest.raises(DownloadRefusedError, match="the answer is 302"):
        fetch(mirror, cache)


def test_five_redirects_are_followed_and_no_more(mirror: FaultyMirror, cache: Cache) -> None:
    for hop in range(5):
        mirror.put(PATH if hop == 0 else f"/{hop}", redirect(f"/{hop + 1}"))
    mirror.put("/5", BODY)
    assert fetch(mirror, cache).size == len(BODY)
    mirror.put("/5", redirect("/6"))
    mirror.put("/6", BODY)
    with pytest.raises(DownloadRefusedError, match=r"redirects more than 5 times"):
        fetch(mirror, cache)
    assert mirror.seen[-1].path == "/5"


def test_body_of_a_redirect_is_not_read(mirror: FaultyMirror, cache: Cache) -> None:
    endless = held(replace(redirect("/5"), length=10**12), after=0)
    mirror.script(PATH, endless)
    mirror.put("/5", BODY)
    assert fetch(mirror, cache, read_timeout=5).size == len(BODY)
    assert endless.started is not None
    assert endless.started.is_set()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for 127.0.0.1 that signs itself, and its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "mirror of a test")])
    now = datetime.now(timezone.utc)
    built = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now, now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path = tmp_path_factory.mktemp("tls") / "mirror.pem"
    path.write_bytes(private + built.public_bytes(pem))
    return path


@pytest.fixture
def secure(certificate: Path) -> Iterator[FaultyMirror]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with FaultyMirror(context) as server:
        yield server


def fetch_securely(secure: FaultyMirror, cache: Cache, verify: str | bool, *hosts: str) -> None:
    with requests.Session() as session:
        session.verify = verify
        download_month(session, secure.url, replace(GREEN, allowed_redirect_hosts=hosts), MONTH, cache)


def test_https_is_not_left_for_http(
    secure: FaultyMirror, assets: FaultyMirror, cache: Cache, certificate: Path
) -> None:
    secure.script(PATH, redirect(assets.url + SIGNED))
    with pytest.raises(DownloadRefusedError, match="from https to http, which is not followed"):
        fetch_securely(secure, cache, str(certificate), assets.host)
    assert assets.seen == []


def test_http_may_be_left_for_an_allowed_https(
    mirror: FaultyMirror, secure: FaultyMirror, cache: Cache, certificate: Path
) -> None:
    secure.put("/x", BODY)
    mirror.put(PATH, redirect(secure.url + "/x"))
    with requests.Session() as session:
        session.verify = str(certificate)
        source = replace(GREEN, allowed_redirect_hosts=(secure.host,))
        assert download_month(session, mirror.url, source, MONTH, cache).size == len(BODY)


def test_certificate_is_checked_as_the_session_says(secure: FaultyMirror, cache: Cache, certificate: Path) -> None:
    secure.put(PATH, BODY)
    with pytest.raises(DownloadError, match=r"no secure connection: .*certificate verify failed"):
        fetch_securely(secure, cache, verify=True)
    assert secure.seen == []
    fetch_securely(secure, cache, str(certificate))
    assert [seen.status for seen in secure.seen] == [200]
