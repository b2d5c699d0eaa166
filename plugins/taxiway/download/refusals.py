"""What it means if a mirror doesn't give the file, by an answer or without one, and what to do.

Storage such as S3 answers 403 for an absent file, too, if the client may not list files. An XML document names the
reason: docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html, and learn.microsoft.com for Azure's codes.
"""

from __future__ import annotations

import enum
import re

from taxiway.errors import DownloadError, DownloadRefusedError, TaxiwayError
from taxiway.files.file_kinds import describe_body

HEAD = 16 * 1024
"""How many bytes of such an answer's body are read."""

_TUNNEL = re.compile(r"Tunnel connection failed: ([0-9]{3}).*")
_CODE = re.compile(rb"<Code>\s*([A-Za-z0-9.]{1,60})\s*</Code>")


class Refusal(enum.Enum):
    """What an answer means, or that none came; the value is what to do, in words that follow what was found."""

    ABSENT = (
        "The mirror doesn't have it: check whether this month is published, and whether the connection's address and "
        "the source's path are right. If the source ends before this month, set 'to' of its last release in its YAML "
        "file"
    )
    HIDDEN = (
        "It is absent or private: such storage answers both alike. Check whether this month is published, and whether "
        "the connection's address and the source's path are right. If the source ends before this month, set "
        "'to' of its last release in its YAML file. If the files are private, give the connection what opens them: "
        "login and password, or headers in its extra"
    )
    LOGIN = "The mirror wants a login: set login and password in its connection, or a header in the connection's extra"
    WRONG_LOGIN = (
        "The mirror doesn't accept the login: correct login, password and headers of its connection; a token may have "
        "expired"
    )
    PROXY_LOGIN = (
        "The proxy wants a login: write the proxy's address as http://USER:PASSWORD@HOST:PORT in http_proxy and "
        "https_proxy, or in 'proxies' of the connection's extra"
    )
    FORBIDDEN = (
        "The mirror refuses the file to this client: look at the address in a browser. If it asks for a login there, "
        "set login and password in the mirror's connection; else ask the mirror's administrator"
    )
    LEGAL = (
        "The mirror may not serve the file here, for legal reasons: set the address of another mirror in the connection"
    )
    RETRY = "The task is tried again; if that goes on failing, check whether the mirror works, and load the month later"
    OTHER = "Look at the address in a browser, and correct the connection's address or the source's path"
    SILENT = (
        "The task is tried again; if that goes on failing, check the network, and whether the mirror works, and load "
        "the month later"
    )
    NO_HOST = "Check the name of the host in the connection's address, and whether this machine finds others"
    NO_SERVER = "Check that the mirror runs and that the connection's address is right"
    INSECURE = (
        "Check the certificate of the mirror (or of a proxy that puts its own in place), and 'verify' in the "
        "connection's extra"
    )
    PROXY = (
        "Correct http_proxy and https_proxy, or 'proxies' in the connection's extra; name a mirror that needs no proxy "
        "in no_proxy"
    )


_OF_CODE = {
    **dict.fromkeys(
        ("NoSuchKey", "NoSuchBucket", "NoSuchVersion", "BlobNotFound", "ContainerNotFound", "ResourceNotFound"),
        Refusal.ABSENT,
    ),
    **dict.fromkeys(("AccessDenied", "AllAccessDisabled", "PublicAccessNotPermitted"), Refusal.HIDDEN),
    **dict.fromkeys(
        (
            "InvalidAccessKeyId",
            "SignatureDoesNotMatch",
            "ExpiredToken",
            "InvalidToken",
            "InvalidSecurity",
            "RequestTimeTooSkewed",
            "AuthenticationFailed",
            "AuthorizationFailure",
        ),
        Refusal.WRONG_LOGIN,
    ),
    **dict.fromkeys(("SlowDown", "Throttling", "RequestLimitExceeded", "RequestTimeout", "ServerBusy"), Refusal.RETRY),
}
_OF_STATUS = {
    401: Refusal.LOGIN,
    403: Refusal.FORBIDDEN,
    404: Refusal.ABSENT,
    407: Refusal.PROXY_LOGIN,
    408: Refusal.RETRY,
    410: Refusal.ABSENT,
    425: Refusal.RETRY,
    429: Refusal.RETRY,
    451: Refusal.LEGAL,
}


def refusal_of(status: int, body: bytes, *, with_login: bool, asks_to_wait: bool) -> Refusal:
    """Say what an answer means.

    :param status: its status, which isn't that of a file
    :param body: the beginning of its body, at most :data:`HEAD`
    :param with_login: whether the request carried a login
    :param asks_to_wait: whether it says when to come again
    """
    if status >= 500 or (status == 403 and asks_to_wait):
        return Refusal.RETRY
    found = _OF_STATUS.get(status, Refusal.OTHER)
    if found in (Refusal.FORBIDDEN, Refusal.OTHER):
        found = _OF_CODE.get(_code(body), found)
    return Refusal.WRONG_LOGIN if found is Refusal.LOGIN and with_login else found


def refused_by_proxy(where: str, cause: str) -> TaxiwayError:
    """Return the exception for a proxy that doesn't lead to the mirror.

    :param where: what the message begins with: source, month, address and proxy
    :param cause: what the connection ended with
    """
    of_proxy = Refusal.PROXY
    refused = _TUNNEL.search(cause)
    if refused is None:
        found = f"{where}: no answer from the proxy: {cause}. Check that it runs"
        return DownloadError(f"{found}. {of_proxy.value}", refusal=of_proxy)
    found = f"{where}: the proxy doesn't connect to the mirror: {refused[0]}"
    if refused[1] == "407":
        return DownloadRefusedError(f"{found}. {Refusal.PROXY_LOGIN.value}", refusal=Refusal.PROXY_LOGIN)
    if refused[1].startswith("5"):
        return DownloadError(f"{found}. {Refusal.RETRY.value}", refusal=Refusal.RETRY)
    ask = "Ask the proxy's administrator to allow the mirror"
    return DownloadRefusedError(f"{found}. {ask}. {of_proxy.value}", refusal=of_proxy)


def said_in(body: bytes, content_type: str) -> str:
    """Return what the body of such an answer says, in words that follow its status; an empty text for nothing.

    :param body: its beginning, at most :data:`HEAD`
    :param content_type: the header Content-Type, or an empty text
    """
    if not body:
        return ""
    return f", {_code(body) or describe_body(body, content_type).described}"


def _code(body: bytes) -> str:
    """Return the code that S3, Google's and Azure's storage name in their XML documents."""
    found = _CODE.search(body)
    return found[1].decode() if found else ""
