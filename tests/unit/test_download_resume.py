"""A transfer that broke off goes on where it stopped, and never mixes two versions of a file."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from pathlib import Path

import pytest

from taxiway.download.cache import Cache
from taxiway.errors import DownloadError
from tests.mirror_faults import LAST_MODIFIED, Answer, FaultyMirror, cut_off, good, status
from tests.month_files import PATH, fetch, files_below, month_file

BODY = month_file(rows=5000, seed=1)
OTHER = month_file(rows=5000, seed=2)
HALF = len(BODY) // 2


def break_off(mirror: FaultyMirror, cache: Cache, **changes: object) -> None:
    """Leave the first half of BODY in the cache."""
    mirror.script(PATH, cut_off(BODY, HALF, **changes))
    with pytest.raises(DownloadError):
        fetch(mirror, cache)
    assert mirror.sent == HALF


def test_only_the_rest_is_sent(mirror: FaultyMirror, cache: Cache, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    break_off(mirror, cache)
    assert files_below(cache.folder) == {".part", ".part.json"}
    mirror.put(PATH, BODY)

    download = fetch(mirror, cache)

    assert Path(download.path).read_bytes() == BODY
    assert mirror.seen[1].headers["range"] == f"bytes={HALF}-"
    assert mirror.seen[1].headers["if-range"] == good(BODY).etag
    assert (mirror.seen[1].status, mirror.seen[1].sent) == (206, len(BODY) - HALF)
    assert mirror.sent == len(BODY)
    assert files_below(cache.folder) == {"", ".json"}
    assert caplog.messages[-2].endswith(f", the rest of {len(BODY) / 1000:.1f} kB")
    assert fetch(mirror, cache).from_cache


def test_rest_can_break_off_too(mirror: FaultyMirror, cache: Cache) -> None:
    break_off(mirror, cache)
    mirror.script(PATH, replace(good(BODY), cut_after=1000))
    mirror.put(PATH, BODY)
    with pytest.raises(DownloadError, match=f"found {HALF + 1000} of {len(BODY)} bytes"):
        fetch(mirror, cache)
    assert Path(fetch(mirror, cache).path).read_bytes() == BODY
    assert mirror.sent == len(BODY)


def test_last_modified_does_where_there_is_no_strong_etag(mirror: FaultyMirror, cache: Cache) -> None:
    break_off(mirror, cache, etag='W/"weak"')
    mirror.put(PATH, good(BODY, etag='W/"weak"'))
    assert Path(fetch(mirror, cache).path).read_bytes() == BODY
    assert mirror.seen[1].headers["if-range"] == LAST_MODIFIED
    assert mirror.sent == len(BODY)


@pytest.mark.parametrize("changes", [{"etag": None}, {"etag": 'W/"weak"'}])
def test_without_a_strong_validator_it_starts_anew(
    mirror: FaultyMirror, cache: Cache, changes: dict[str, str | None]
) -> None:
    break_off(mirror, cache, last_modified=None, **changes)
    assert files_below(cache.folder) == set()
    mirror.put(PATH, good(BODY, last_modified=None, **changes))
    assert Path(fetch(mirror, cache).path).read_bytes() == BODY
    assert "range" not in mirror.seen[1].headers


def test_server_without_ranges_sends_all(mirror: FaultyMirror, cache: Cache) -> None:
    break_off(mirror, cache)
    mirror.put(PATH, good(BODY, ranges=False))
    assert Path(fetch(mirror, cache).path).read_bytes() == BODY
    assert [seen.status for seen in mirror.seen] == [200, 200]


def test_file_changed_in_between_is_sent_whole(mirror: FaultyMirror, cache: Cache) -> None:
    break_off(mirror, cache)
    mirror.put(PATH, OTHER)
    download = fetch(mirror, cache)
    assert Path(download.path).read_bytes() == OTHER
    assert download.etag == good(OTHER).etag
    assert [seen.status for seen in mirror.seen] == [200, 200]


def rest(body: bytes = BODY[HALF:], **headers: str) -> Answer:
    """The right rest of BODY, but for some headers or the body."""
    right = {
        "Content-Range": f"bytes {HALF}-{len(BODY) - 1}/{len(BODY)}",
        "ETag": good(BODY).etag or "",
        "Last-Modified": LAST_MODIFIED,
    }
    return Answer(body, 206, right | headers, ranges=False)


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(rest(**{"Content-Range": f"bytes 0-{len(BODY) - 1}/{len(BODY)}"}), id="another start"),
        pytest.param(rest(**{"Content-Range": f"bytes {HALF}-{len(BODY) - 2}/{len(BODY)}"}), id="another end"),
        pytest.param(rest(**{"Content-Range": f"bytes {HALF}-{len(BODY)}/{len(BODY) + 1}"}), id="another length"),
        pytest.param(rest(BODY, **{"Content-Range": f"bytes 0-{len(BODY) - 1}/{len(BODY)}"}), id="all of it"),
        pytest.param(
            rest(BODY[HALF:] + b"x", **{"Content-Range": f"bytes {HALF}-{len(BODY)}/{len(BODY) + 1}"}), id="one more"
        ),
        pytest.param(rest(**{"Content-Range": f"bytes {HALF}-{len(BODY) - 1}/*"}), id="no length"),
        pytest.param(rest(**{"Content-Range": "rows 1-2/3"}), id="no bytes"),
        pytest.param(rest(ETag='"another"'), id="another ETag"),
        pytest.param(rest(**{"Last-Modified": "Wed, 06 Mar 2019 08:00:00 GMT"}), id="another date"),
        pytest.param(rest(**{"Content-Encoding": "gzip"}), id="another encoding"),
        pytest.param(status(416), id="range not satisfiable"),
    ],
)
def test_answer_that_is_not_the_rest_makes_it_start_anew(mirror: FaultyMirror, cache: Cache, answer: Answer) -> None:
    break_off(mirror, cache)
    mirror.script(PATH, answer)
    mirror.put(PATH, BODY)
    assert Path(fetch(mirror, cache).path).read_bytes() == BODY
    assert [seen.status for seen in mirror.seen] == [200, answer.status, 200]
    assert "range" not in mirror.seen[2].headers


def test_right_rest_is_taken(mirror: FaultyMirror, cache: Cache) -> None:
    # So that the cases above fail for the header that differs, and for nothing else.
    break_off(mirror, cache)
    mirror.script(PATH, rest())
    assert Path(fetch(mirror, cache).path).read_bytes() == BODY


def test_server_that_lies_about_the_version_is_found_out(mirror: FaultyMirror, cache: Cache) -> None:
    same_name = {"etag": '"always the same"'}
    break_off(mirror, cache, **same_name)
    wrong = OTHER[: len(BODY)].ljust(len(BODY), b"\0")
    mirror.script(PATH, good(wrong, **same_name))
    mirror.put(PATH, good(OTHER, **same_name))

    download = fetch(mirror, cache)

    assert Path(download.path).read_bytes() == OTHER
    assert [seen.status for seen in mirror.seen] == [200, 206, 200]


def test_part_that_was_damaged_here_is_fetched_anew(mirror: FaultyMirror, cache: Cache) -> None:
    break_off(mirror, cache)
    part = next(cache.folder.rglob("*.part"))
    part.write_bytes(part.read_bytes()[:-100] + bytes(100))
    mirror.put(PATH, BODY)
    assert Path(fetch(mirror, cache).path).read_bytes() == BODY
    assert [seen.status for seen in mirror.seen] == [200, 206, 200]


def _without_record(part: Path) -> None:
    part.with_name(part.name + ".json").unlink()


def _with_a_garbled_record(part: Path) -> None:
    part.with_name(part.name + ".json").write_text("[1, 2")


def _too_long(part: Path) -> None:
    part.write_bytes(BODY + BODY)


@pytest.mark.parametrize("damage", [_without_record, _with_a_garbled_record, _too_long, Path.unlink])
def test_part_that_can_not_be_trusted_is_not_used(mirror: FaultyMirror, cache: Cache, damage: object) -> None:
    break_off(mirror, cache)
    damage(next(cache.folder.rglob("*.part")))  # type: ignore[operator]
    mirror.put(PATH, BODY)
    assert Path(fetch(mirror, cache).path).read_bytes() == BODY
    assert "range" not in mirror.seen[1].headers


def test_part_that_is_whole_costs_one_byte(mirror: FaultyMirror, cache: Cache) -> None:
    # As after a process that was killed while it verified.
    break_off(mirror, cache)
    next(cache.folder.rglob("*.part")).write_bytes(BODY)
    mirror.put(PATH, BODY)
    assert Path(fetch(mirror, cache).path).read_bytes() == BODY
    assert [seen.sent for seen in mirror.seen] == [HALF, 1]


def test_old_file_and_part_of_the_new_one_go_together(mirror: FaultyMirror, cache: Cache) -> None:
    mirror.put(PATH, OTHER)
    fetch(mirror, cache)
    mirror.script(PATH, cut_off(BODY, HALF))
    with pytest.raises(DownloadError):
        fetch(mirror, cache)
    mirror.put(PATH, BODY)
    download = fetch(mirror, cache)
    assert Path(download.path).read_bytes() == BODY
    assert (mirror.seen[2].status, mirror.seen[2].sent) == (206, len(BODY) - HALF)


def test_part_goes_where_the_old_file_is_current_again(mirror: FaultyMirror, cache: Cache) -> None:
    mirror.put(PATH, OTHER)
    old = fetch(mirror, cache)
    mirror.script(PATH, cut_off(BODY, HALF))
    with pytest.raises(DownloadError):
        fetch(mirror, cache)
    download = fetch(mirror, cache)
    assert download.from_cache
    assert download.sha256 == old.sha256
    assert files_below(cache.folder) == {"", ".json"}


def test_part_of_unknown_length_is_continued(mirror: FaultyMirror, cache: Cache) -> None:
    break_off(mirror, cache, length="chunked")
    assert json.loads(next(cache.folder.rglob("*.part.json")).read_text())["total"] is None
    mirror.put(PATH, BODY)
    assert Path(fetch(mirror, cache).path).read_bytes() == BODY
    assert mirror.sent == len(BODY)
