"""Asking which files a mirror has: by HEAD, over a real HTTP server that counts what was asked and sent."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
import requests

from taxiway.download.look import MOST_IN_VAIN, FileVersion, Look, Lookout, Presence
from taxiway.errors import DownloadRefusedError
from taxiway.sources.months import Month
from tests.mirror_faults import LAST_MODIFIED, FaultyMirror, good, held, html_page, redirect, status
from tests.month_files import GREEN, MONTH, PATH

BODY = b"a file" * 1000
TAG = good(BODY).etag


@pytest.fixture
def mirror() -> Iterator[FaultyMirror]:
    with FaultyMirror() as mirror:
        yield mirror


@pytest.fixture
def lookout(mirror: FaultyMirror) -> Iterator[Lookout]:
    with requests.Session() as session:
        yield Lookout(session, mirror.url, read_timeout=5)


def looked(mirror: FaultyMirror, lookout: Lookout) -> Look:
    """Look at green 2019-03; no byte of a body may come."""
    look = lookout.look(GREEN, MONTH)
    assert look.url == mirror.url + PATH
    assert {seen.method for seen in mirror.seen if seen.path == PATH} <= {"HEAD"}
    assert mirror.sent == 0
    return look


def test_a_file_that_is_there_is_described_and_not_fetched(mirror: FaultyMirror, lookout: Lookout) -> None:
    mirror.put(PATH, BODY)

    look = looked(mirror, lookout)

    assert look.presence is Presence.THERE
    assert look.version == FileVersion(TAG, LAST_MODIFIED, len(BODY))
    assert str(look.version) == f"ETag {TAG}, changed {LAST_MODIFIED}, 6000 bytes"


@pytest.mark.parametrize(("code", "presence"), [(404, Presence.ABSENT), (410, Presence.ABSENT), (403, Presence.HIDDEN)])
def test_a_file_that_is_absent_or_hidden(code: int, presence: Presence, mirror: FaultyMirror, lookout: Lookout) -> None:
    mirror.put(PATH, status(code))

    look = looked(mirror, lookout)

    assert (look.presence, look.version) == (presence, None)
    assert f"the answer is {code}" in look.said


@pytest.mark.parametrize("code", [400, 401, 418, 451, 500, 502])
def test_an_answer_that_says_nothing_of_the_file(code: int, mirror: FaultyMirror, lookout: Lookout) -> None:
    mirror.put(PATH, status(code))

    look = looked(mirror, lookout)

    assert (look.presence, look.version) == (Presence.UNKNOWN, None)
    assert f"the answer is {code}" in look.said


def test_a_web_page_is_no_file(mirror: FaultyMirror, lookout: Lookout) -> None:
    mirror.put(PATH, html_page())

    look = looked(mirror, lookout)

    assert look.presence is Presence.UNKNOWN
    assert "a web page in place of the file" in look.said


@pytest.mark.parametrize("code", [405, 501])
def test_a_mirror_that_knows_no_head_is_asked_for_one_byte(code: int, mirror: FaultyMirror, lookout: Lookout) -> None:
    mirror.script(PATH, status(code))
    mirror.put(PATH, BODY)

    assert lookout.look(GREEN, MONTH).version == FileVersion(TAG, LAST_MODIFIED, len(BODY))
    assert lookout.look(GREEN, MONTH).presence is Presence.THERE
    assert [seen.method for seen in mirror.seen] == ["HEAD", "GET", "GET"]
    assert {seen.headers.get("range") for seen in mirror.seen[1:]} == {"bytes=0-0"}
    assert mirror.sent <= 2


def test_a_mirror_that_knows_neither_head_nor_ranges(mirror: FaultyMirror, lookout: Lookout) -> None:
    mirror.script(PATH, status(405))
    mirror.put(PATH, good(BODY, ranges=False))

    assert lookout.look(GREEN, MONTH).version == FileVersion(TAG, LAST_MODIFIED, len(BODY))


def test_redirects_lead_to_known_hosts_only(mirror: FaultyMirror, lookout: Lookout) -> None:
    with FaultyMirror() as other:
        other.put("/there", BODY)
        mirror.put(PATH, redirect(f"{other.url}/there"))

        refused = lookout.look(GREEN, MONTH)
        followed = lookout.look(replace(GREEN, allowed_redirect_hosts=(other.host,)), MONTH)

        assert [seen.method for seen in other.seen] == ["HEAD"]
    assert refused.presence is Presence.UNKNOWN
    assert "on another server" in refused.said
    assert followed.presence is Presence.THERE


@pytest.mark.parametrize("code", [429, 503, 403])
def test_a_mirror_that_asks_to_wait_is_left_alone(code: int, mirror: FaultyMirror, lookout: Lookout) -> None:
    mirror.put(PATH, status(code, retry_after="120"))

    first, second = looked(mirror, lookout), looked(mirror, lookout)

    assert lookout.retry_after == 120
    assert first.said.endswith("it asks to wait 120 s")
    assert second.said == "not asked: the mirror asked to wait 120 s"
    assert {first.presence, second.presence} == {Presence.UNKNOWN}
    assert len(mirror.seen) == 1


def test_a_mirror_that_does_not_answer_is_not_asked_for_every_file(mirror: FaultyMirror) -> None:
    mirror.put(PATH, held(good(BODY)))
    with requests.Session() as session:
        lookout = Lookout(session, mirror.url, read_timeout=0.05)
        looks = [lookout.look(GREEN, MONTH) for _ in range(MOST_IN_VAIN + 1)]

    assert {look.presence for look in looks} == {Presence.UNKNOWN}
    assert looks[0].said.endswith("no answer within 0.05 s")
    assert "tried again" not in looks[0].said
    assert looks[-1].said == f"not asked: the mirror gave no answer {MOST_IN_VAIN} times in a row"


def test_a_failure_now_and_then_stops_nothing(mirror: FaultyMirror, lookout: Lookout) -> None:
    for _ in range(MOST_IN_VAIN):
        mirror.script(PATH, status(500), good(BODY))

    looks = [looked(mirror, lookout) for _ in range(2 * MOST_IN_VAIN)]

    assert [look.presence for look in looks] == [Presence.UNKNOWN, Presence.THERE] * MOST_IN_VAIN


def test_one_connection_serves_every_question(mirror: FaultyMirror, lookout: Lookout) -> None:
    for number in range(1, 6):
        mirror.put("/" + GREEN.file_path(Month(2019, number)), BODY)
        lookout.look(GREEN, Month(2019, number))

    assert len({seen.client for seen in mirror.seen}) == 1
    assert len(mirror.seen) == 5


def test_an_address_that_cannot_be_used_is_refused() -> None:
    with requests.Session() as session, pytest.raises(DownloadRefusedError, match="the mirror's address is"):
        Lookout(session, "ftp://mirror.test").look(GREEN, MONTH)


def test_the_size_of_an_answer_that_is_compressed_is_not_the_files(mirror: FaultyMirror, lookout: Lookout) -> None:
    mirror.put(PATH, good(BODY, headers={"Content-Encoding": "gzip"}))

    assert looked(mirror, lookout).version == FileVersion(TAG, LAST_MODIFIED, None)


EARLIER = "Mon, 04 Mar 2019 08:00:00 GMT"


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (FileVersion('"a"', LAST_MODIFIED, 1), FileVersion('"a"', EARLIER, 2), True),
        (FileVersion('"a"', LAST_MODIFIED, 1), FileVersion('"b"', LAST_MODIFIED, 1), False),
        (FileVersion('W/"a"'), FileVersion('"a"'), True),
        (FileVersion('W/"a"'), FileVersion('W/"b"'), False),
        (FileVersion('"a"', LAST_MODIFIED, 1), FileVersion(None, LAST_MODIFIED, 1), True),
        (FileVersion(None, LAST_MODIFIED, 1), FileVersion(None, LAST_MODIFIED, 2), False),
        (FileVersion(None, LAST_MODIFIED, 1), FileVersion(None, EARLIER, 1), False),
        (FileVersion(None, LAST_MODIFIED, None), FileVersion(None, LAST_MODIFIED, 7), True),
        (FileVersion(None, None, 1), FileVersion('"a"', LAST_MODIFIED, 1), True),
        (FileVersion(None, None, 1), FileVersion('"a"', LAST_MODIFIED, 2), False),
        (FileVersion('"a"'), FileVersion(None, LAST_MODIFIED, 1), None),
        (FileVersion(), FileVersion('"a"', LAST_MODIFIED, 1), None),
    ],
)
def test_two_versions_are_the_same_if_what_both_have_is(
    one: FileVersion, other: FileVersion, same: bool | None
) -> None:
    assert one.is_same(other) is other.is_same(one) is same


def test_a_version_has_a_key_of_its_own() -> None:
    versions = [FileVersion('"a"'), FileVersion('"b"'), FileVersion(None, EARLIER, 1), FileVersion(None, EARLIER, 2)]

    assert len({version.key for version in versions}) == 4
    assert FileVersion('W/"a"', EARLIER).key == FileVersion('"a"', LAST_MODIFIED).key
    assert all(version.key.isalnum() for version in versions)
    assert str(FileVersion()) == "no ETag, no Last-Modified and no size"
