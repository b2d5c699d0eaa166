"""What people write as a mirror's address, and what a message shows of it."""

from __future__ import annotations

import pytest

from taxiway.core.errors import SettingError
from taxiway.core.mirror_address import mirror_address, without_user


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


def test_a_password_is_in_no_message() -> None:
    assert without_user("https://me:secret@h:1/a@b") == "https://h:1/a@b"
    assert without_user("me:secret@h:1/a") == "h:1/a"
    with pytest.raises(SettingError) as caught:
        mirror_address("http", "http://me:secret@h:port")
    assert "secret" not in str(caught.value)
