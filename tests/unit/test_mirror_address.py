"""What people write as a mirror's address, and what a message shows of it."""

from __future__ import annotations

import traceback

import pytest

from taxiway.download.mirror_address import mirror_address, shown_address
from taxiway.errors import SettingError


@pytest.mark.parametrize("host", [None, "", "  "])
def test_without_a_host_the_form_is_shown(host: str | None) -> None:
    with pytest.raises(SettingError, match=r"has no host; expected .* http://127\.0\.0\.1:8901"):
        mirror_address("http", host, None, "27.0.0.1:8901")


@pytest.mark.parametrize(
    ("written", "address"),
    [
        ("127.0.0.1:8901", "http://127.0.0.1:8901"),
        ("me:secret@h:80/a/", "http://me:secret@h:80/a"),
        ("::1", "http://[::1]"),
        ("[::1]:8901", "http://[::1]:8901"),
        ("HTTPS://h/", "https://h"),
    ],
)
def test_an_address_is_completed(written: str, address: str) -> None:
    assert mirror_address(None, written) == address


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("https://me:secret@h:1/a", "https://h:1/a"),
        ("me:secret@h:1/a", "h:1/a"),
        ("http://me:sec/ret@h:1/a", "http://h:1/a"),
        ("http://me:12/sec?ret#x@h:1", "http://h:1"),
        ("http://me:se@cret@h/a?token=secret#secret", "http://h/a"),
        ("me:sec://ret@h", "h"),
        ("http:/me:secret@h/a", "h/a"),
        ("http://me:secret@h:80a/a", "http://h"),
        ("http://me:secret", "http://me"),
        ("http://me:secret@", "http://"),
        ("http://[::1]:80/a", "http://[::1]:80/a"),
        ("", ""),
    ],
)
def test_no_password_is_shown(written: str, shown: str) -> None:
    assert shown_address(written) == shown


@pytest.mark.parametrize(
    "written",
    ["http://me:secret@h:port", "http://me:sec/ret@h", "http://me:12/secret@h", "me:sec#ret@h", "http:/me:secret@h/a"],
)
def test_an_address_that_its_password_breaks_is_refused(written: str) -> None:
    with pytest.raises(SettingError, match="write %2F for /") as caught:
        mirror_address("http", written)
    said = "".join(traceback.format_exception(caught.value))
    assert [part for part in ("secret", "sec", "ret@", "'12'") if part in said] == []
