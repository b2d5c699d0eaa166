"""Requests to a mirror, with what a mirror may and may not do.

This module follows redirects itself, because requests lacks three rules. They lead to known hosts only, and never from
https to http. No credential of the mirror (auth, headers of the connection, client certificate, cookie) reaches another
host.
"""

from __future__ import annotations

import re
import socket
import ssl
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from datetime import datetime, timedelta, timezone
from urllib.parse import SplitResult, unquote, urljoin, urlsplit, urlunsplit

import requests
import requests.utils
import urllib3

from taxiway.download.mirror_address import IN_PASSWORDS, shown_address
from taxiway.download.refusals import HEAD, Refusal, refusal_of, refused_by_proxy, said_in
from taxiway.download.validators import parse_http_date
from taxiway.errors import DownloadError, DownloadRefusedError, MonthNotFoundError, RetryAfterTooLongError, TaxiwayError
from taxiway.messages import LONGEST_MESSAGE, one_line, printable, quoted

MAX_REDIRECTS = 5

MAX_RETRY_AFTER = 900.0
"""Longest wait that the mirror can ask for between two tries, in seconds; a longer one fails the month."""

_BLOCK = 256 * 1024
_PORTS = {"http": 80, "https": 443}
_NUMBER = re.compile(r"[0-9]{1,18}")
_PATIENCE = 10.0
# Longest wait for the body of an answer that isn't the file, in seconds: it is only read to say what it is.
_UNFIT = (ValueError, TypeError)
# What requests and urllib3 raise for addresses, proxies and headers before they ask for anything.
_SAFE = (requests.exceptions.InvalidSchema, urllib3.exceptions.ProxySchemeUnknown)
# Those of them that quote no password: a scheme that isn't known, or a package that is absent.
_Origin = tuple[str, str, int]


class BrokenConnectionError(Exception):
    """A body that stopped coming; says why."""


class Mirror:
    """A mirror, for one month's file."""

    def __init__(
        self,
        session: requests.Session,
        base_url: str,
        subject: str,
        allowed_hosts: Collection[str],
        *,
        connect_timeout: float,
        read_timeout: float,
    ) -> None:
        """Read the address, and assign the rest.

        :param session: carries the mirror's auth, headers, proxies and certificates
        :param base_url: the mirror's address; a user and password in it are used as basic auth
        :param subject: the source and the month, for errors: ``green 2019-03``
        :param allowed_hosts: other hosts that the mirror may redirect to
        :param connect_timeout: seconds to wait for a connection
        :param read_timeout: seconds to wait for the next bytes of an answer
        :raises DownloadRefusedError: if the address can't be used
        """
        self.session = session
        self.subject = subject
        self.allowed_hosts = allowed_hosts
        self.timeout = (connect_timeout, read_timeout)
        parts, origin = _split(base_url)
        if parts is None or origin is None or parts.query or parts.fragment or "@" in parts.path:
            raise DownloadRefusedError(
                f"{subject}: the mirror's address is {quoted(shown_address(base_url), 300)}; expected http:// or "
                f"https://, a host and possibly a path. Correct the connection's host: {IN_PASSWORDS}"
            )
        self.origin = origin
        self.base_url = _without_user(parts).rstrip("/")
        user = unquote(parts.username or ""), unquote(parts.password or "")
        self._auth = user if any(user) and session.auth is None else None
        self.proxy = ""

    def url(self, file_path: str) -> str:
        """Return a file's address, without credentials."""
        return f"{self.base_url}/{file_path}"

    def get(self, url: str, headers: Mapping[str, str], *, method: str = "GET") -> requests.Response:
        """Ask for a file, and follow redirects; the answer's body is left to be read with :func:`blocks`.

        :param url: from :meth:`url`
        :param headers: of this request; they go to other hosts too
        :param method: ``GET``; ``HEAD`` asks for the headers of the answer alone
        :return: an answer with any status but a redirect's; the caller closes it
        :raises DownloadError: if no answer came
        :raises DownloadRefusedError: if a redirect leads to a host that isn't allowed
        """
        target = url
        for _ in range(MAX_REDIRECTS + 1):
            response = self._send(method, target, headers)
            if method == "HEAD":
                _ = response.content  # empty; once it is read, the connection serves the next request
            if not response.is_redirect:
                return response
            response.close()
            target = self._redirected(url, target, response.headers["Location"])
        raise DownloadRefusedError(
            f"{self.subject}: {url} redirects more than {MAX_REDIRECTS} times. Look at the address in a browser, "
            "and correct the connection"
        )

    def where(self, url: str) -> str:
        """Return what an error begins with: source, month, address, and the proxy that was asked last, if any."""
        return f"{self.subject}: {url}" + (f", through the proxy {self.proxy}" if self.proxy else "")

    def error(self, url: str, response: requests.Response) -> TaxiwayError:
        """Return the exception for an answer that isn't the file."""
        status = response.status_code
        body = _beginning(response)
        said = said_in(body, response.headers.get("Content-Type", ""))
        answer = f"{status} {one_line(response.reason or '', 60)}".rstrip()
        found = f"{self.where(url)}: the answer is {answer}{said}"
        retry_after = retry_after_of(response)
        with_login = bool(self._auth or self.session.auth or "Authorization" in self.session.headers)
        refusal = refusal_of(status, body, with_login=with_login, asks_to_wait=retry_after is not None)
        if refusal is Refusal.RETRY and retry_after is not None:
            found += f"; it asks to wait {retry_after:.0f} s"
            if retry_after > MAX_RETRY_AFTER:
                return RetryAfterTooLongError(
                    f"{found}, and a task waits {MAX_RETRY_AFTER:.0f} s at most. Load the month again "
                    f"{_after(retry_after)}"
                )
        message = f"{found}; expected the month's file. {refusal.value}"
        if refusal is Refusal.RETRY:
            return DownloadError(message, retry_after=retry_after)
        if refusal in (Refusal.ABSENT, Refusal.HIDDEN):
            return MonthNotFoundError(message, found=found)
        return DownloadRefusedError(message)

    def _send(self, method: str, url: str, headers: Mapping[str, str]) -> requests.Response:
        session = self.session
        # From the mirror's own session only if the request goes to the mirror itself.
        at_home = _split(url)[1] == self.origin
        try:
            request = requests.Request(method, url, headers=dict(headers), auth=self._auth if at_home else None)
            prepared = session.prepare_request(request) if at_home else request.prepare()
            settings = session.merge_environment_settings(
                prepared.url or url, dict(session.proxies), True, session.verify, None
            )
            verify = settings["verify"]
            proxies = dict(settings["proxies"] or {})
            self.proxy = shown_address(requests.utils.select_proxy(prepared.url or url, proxies) or "")
            # Session.send would read the whole body of a redirect into memory.
            return session.get_adapter(prepared.url or url).send(
                prepared,
                stream=True,
                timeout=self.timeout,
                verify=True if verify is None else verify,
                cert=settings["cert"] if at_home else None,
                proxies=proxies,
            )
        except _UNFIT as error:
            # What this says may quote a header, or a part of a password.
            raise self._unfit(url, error) from None
        except (OSError, urllib3.exceptions.HTTPError) as error:
            raise self._unanswered(url, error) from _fit_cause(error)

    def _unfit(self, url: str, error: Exception) -> TaxiwayError:
        cause = _innermost(error)
        found = one_line(str(cause), 200).rstrip(".") if isinstance(cause, _SAFE) else "an address or a header is wrong"
        return DownloadRefusedError(
            f"{self.where(_shown(url))}: this can't be asked for: {found}. Correct the address and the headers of the "
            f"connection, or the proxy's address: {IN_PASSWORDS}"
        )

    def _unanswered(self, url: str, error: Exception) -> TaxiwayError:
        where, inner = self.where(_shown(url)), _innermost(error)
        cause = one_line(str(inner), 200)
        if isinstance(error, requests.exceptions.ProxyError):
            return refused_by_proxy(where, cause)
        found, refusal = f"no answer: {cause}", Refusal.NO_SERVER
        if isinstance(error, requests.Timeout):
            seconds = self.timeout[0] if isinstance(error, requests.ConnectTimeout) else self.timeout[1]
            found, refusal = f"no answer within {seconds:g} s", Refusal.SILENT
        elif isinstance(inner, ssl.SSLError):
            found, refusal = f"no secure connection: {cause}", Refusal.INSECURE
        elif isinstance(inner, socket.gaierror):
            refusal = Refusal.NO_HOST
        return DownloadError(f"{where}: {found}. {refusal.value}", refusal=refusal)

    def _redirected(self, url: str, current: str, location: str) -> str:
        parts, origin = _split(location, current)
        found = f"{self.subject}: {url} redirects to {quoted(_shown(location), 300)}"
        if parts is None or origin is None:
            raise DownloadRefusedError(f"{found}; expected an http or https address. Correct the connection's address")
        scheme, host, port = origin
        if scheme == "http" and current.startswith("https:"):
            raise DownloadRefusedError(f"{found}, from https to http, which is not followed. Correct the connection")
        name = host if port == _PORTS[scheme] else f"{host}:{port}"
        if origin != self.origin and name not in self.allowed_hosts:
            raise DownloadRefusedError(
                f"{found}, on another server: {scheme}://{name}; expected the mirror's own"
                f"{''.join(f' or {host}' for host in self.allowed_hosts)}. If it is to be trusted, add {name} to "
                "allowed_redirect_hosts in the source's YAML file, or give its address in the connection"
            )
        return _without_user(parts)


def content_length(response: requests.Response) -> int | None:
    """Return how many bytes an answer announces; None if it announces none that count."""
    length = response.headers.get("Content-Length", "").strip()
    counts = _NUMBER.fullmatch(length) and "Transfer-Encoding" not in response.headers
    return int(length) if counts else None


def blocks(response: requests.Response) -> Iterator[bytes]:
    """Yield an answer's body as it came over the wire, no Content-Encoding undone, in blocks of at most 256 KiB.

    :raises BrokenConnectionError: if it stops before its end
    """
    remaining = content_length(response)
    try:
        # read1 hands out what has come, so that nothing of it is lost when the connection breaks. Python before
        # 3.13 lets it run past the announced length.
        while remaining != 0:
            block = response.raw.read1(_BLOCK if remaining is None else min(_BLOCK, remaining), decode_content=False)
            if not block:
                return
            remaining = None if remaining is None else remaining - len(block)
            yield block
    except urllib3.exceptions.ReadTimeoutError as error:
        raise BrokenConnectionError("nothing more came in time") from error
    except urllib3.exceptions.HTTPError as error:
        raise BrokenConnectionError(f"the connection broke: {one_line(str(_innermost(error)), 200)}") from _fit_cause(
            error
        )


def _split(url: str, base: str = "") -> tuple[SplitResult | None, _Origin | None]:
    """Split an address into its scheme, host and port; None if it has none that can be asked."""
    try:
        parts = urlsplit(urljoin(base, url))
        scheme, host, port = parts.scheme.lower(), parts.hostname, parts.port
    except ValueError:
        return None, None
    if scheme not in _PORTS or not host:
        return parts, None
    return parts, (scheme, host.lower(), port or _PORTS[scheme])


def _without_user(parts: SplitResult) -> str:
    return urlunsplit((parts.scheme.lower(), parts.netloc.rpartition("@")[2].lower(), parts.path, parts.query, ""))


def _shown(url: str) -> str:
    """Return an address that a server has given, fit for a message: user, password and query can be secrets."""
    parts, origin = _split(url)
    return shown_address(url) if parts is None or origin is None else _without_user(parts._replace(query=""))


def _innermost(error: BaseException) -> BaseException:
    """Return what an exception began with: requests' own wrapping repeats addresses, with their queries."""
    while (inner := error.__cause__ or error.__context__) is not None:
        error = inner
    return error


def _fit_cause(error: BaseException) -> BaseException | None:
    """Return what an exception began with, if a log can print it: it may quote what a server says."""
    cause = _innermost(error)
    said = str(cause)
    return cause if said == printable(said, LONGEST_MESSAGE) else None


def _beginning(response: requests.Response) -> bytes:
    """Return the first bytes of an answer's body, as far as they come; it isn't waited for long."""
    body, began = b"", time.monotonic()
    with suppress(BrokenConnectionError, OSError):
        for block in blocks(response):
            body += block
            if len(body) >= HEAD or time.monotonic() - began > _PATIENCE:
                break
    return body[:HEAD]


def retry_after_of(response: requests.Response) -> float | None:
    """Return how many seconds an answer asks to wait; None if it asks for nothing that can be read."""
    text = response.headers.get("Retry-After")
    if text is None:
        return None
    if _NUMBER.fullmatch(text.strip()):
        return float(text)
    moment = parse_http_date(text)
    return None if moment is None else max(0.0, (moment - datetime.now(timezone.utc)).total_seconds())


def _after(seconds: float) -> str:
    """Say in words when so many seconds will have passed."""
    try:
        moment = datetime.now(timezone.utc) + timedelta(seconds=seconds)
    except OverflowError:
        return "then"
    # Rounded up to the next minute.
    return f"after {moment + timedelta(seconds=59):%Y-%m-%d %H:%M} UTC"
