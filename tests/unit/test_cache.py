"""The cache keeps mirrors apart, stays within its limit, and deletes only what is its own and unused."""

from __future__ import annotations

import logging
import os
import time
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest
from filelock import Timeout

from taxiway.download.cache import Cache, CacheSlot, PartialFile, StoredFile
from taxiway.download.validators import Validators
from tests.mirror_faults import FaultyMirror
from tests.month_files import PATH, fetch, month_file

BASE = "https://example.com/files"
HOUR = 3600.0


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache", limit_bytes=2500)


def store(cache: Cache, name: str, size: int = 1000, hours: float = 2) -> CacheSlot:
    """Put a file of so many bytes in the cache, last used so many hours ago; its record is counted on top."""
    slot = cache.slot(BASE, f"green/{name}.csv.gz")
    with slot.locked(0):
        slot.begin(PartialFile(Validators(), "", size))
        slot.part.write_bytes(b"x" * size)
        slot.commit(StoredFile(BASE, Validators(), size, sha256(b"x" * size).hexdigest(), 10 * size))
    _age(slot.path, hours)
    return slot


def break_off(cache: Cache, name: str, size: int = 1000, hours: float = 2) -> CacheSlot:
    """Leave a transfer in the cache that stopped so many hours ago."""
    slot = cache.slot(BASE, f"green/{name}.csv.gz")
    with slot.locked(0):
        slot.begin(PartialFile(Validators('"1"'), "", size * 2))
        slot.part.write_bytes(b"x" * size)
    _age(slot.part, hours)
    return slot


def _age(path: Path, hours: float) -> None:
    moment = time.time() - hours * HOUR
    os.utime(path, (moment, moment))


def test_mirrors_have_folders_of_their_own(cache: Cache) -> None:
    paths = {
        cache.slot(address, "green/a.csv.gz").path
        for address in (
            BASE,
            "http://example.com/files",
            "https://example.com/others",
            "https://example.com:8443/files",
        )
    }
    assert len(paths) == 4
    assert all(path.parent.parent.name.startswith("example.com-") for path in paths)
    assert all(path.relative_to(cache.folder).parts[1:] == ("green", "a.csv.gz") for path in paths)


def test_file_of_one_mirror_is_not_taken_for_another(tmp_path: Path) -> None:
    cache = Cache(tmp_path, 10**9)
    with FaultyMirror() as one, FaultyMirror() as two:
        one.put(PATH, month_file(seed=1))
        two.put(PATH, month_file(seed=1))
        assert fetch(one, cache).path != fetch(two, cache).path
        assert [seen.status for seen in two.seen] == [200]


def test_nothing_goes_while_all_fits(cache: Cache) -> None:
    store(cache, "a", 1000)
    break_off(cache, "b", 500)
    assert cache.evict() == ()


def test_longest_unused_go_until_the_rest_fits(cache: Cache, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    slots = {name: store(cache, name, hours=hours) for name, hours in (("a", 5), ("b", 9), ("c", 2), ("d", 7))}

    evicted = cache.evict()

    assert evicted == (slots["b"].path, slots["d"].path)
    assert [name for name, slot in slots.items() if slot.path.exists()] == ["a", "c"]
    assert sorted(path.name for path in cache.folder.rglob("*.json")) == ["a.csv.gz.json", "c.csv.gz.json"]
    assert caplog.messages == [f"Removed {path} from the cache, longest unused" for path in evicted]


def test_a_use_that_lies_in_the_future_is_of_now(cache: Cache) -> None:
    """The clock was a year ahead: the file would stay for that year and an hour."""
    ahead, other = store(cache, "a", hours=-8760), store(cache, "b", size=2000, hours=0)

    assert cache.evict() == ()
    assert ahead.path.stat().st_mtime <= time.time()

    for slot in (ahead, other):
        _age(slot.path, 2)
    assert set(cache.evict()) <= {ahead.path, other.path}
    assert not ahead.path.exists() or not other.path.exists()


def test_records_count(cache: Cache) -> None:
    slots = [store(cache, name, 1000) for name in "ab"]
    on_disk = sum(path.stat().st_size for path in cache.folder.rglob("*") if path.is_file())
    assert on_disk > 2000
    assert replace(cache, limit_bytes=on_disk).evict() == ()
    assert len(replace(cache, limit_bytes=on_disk - 1).evict()) == 1
    assert sum(slot.path.exists() for slot in slots) == 1


def test_old_transfers_go_before_older_files(cache: Cache) -> None:
    old = store(cache, "a", hours=100)
    part = break_off(cache, "b", size=1500, hours=2)
    assert cache.evict() == (part.part,)
    assert old.path.exists()
    assert [path for path in cache.folder.rglob("*.part*") if path.is_file()] == []


def test_what_was_used_within_the_hour_stays(cache: Cache, caplog: pytest.LogCaptureFixture) -> None:
    used = [store(cache, "a", 3000, hours=0.9), store(cache, "b", 3000, hours=0)]
    running = break_off(cache, "c", 3000, hours=0)
    assert cache.evict() == ()
    assert all(slot.path.exists() for slot in used)
    assert running.part.exists()
    assert "over its limit of 2.5 kB: what is left was used in the last 60 minutes" in caplog.text


def test_what_nobody_has_used_for_long_expires_but_not_while_it_is_worked_on(cache: Cache) -> None:
    old, new, busy = store(cache, "a", hours=100), store(cache, "b", hours=1), store(cache, "c", hours=100)
    part = break_off(cache, "d", 500, hours=100)
    before = time.time() - 50 * HOUR

    assert set(cache.expire(before, dry_run=True)) == {old.path, busy.path, part.part}
    with busy.locked(timeout=0):
        assert set(cache.expire(before, dry_run=False)) == {old.path, part.part}

    assert [slot.path.exists() for slot in (old, new, busy)] == [False, True, True]
    assert not part.part.exists()
    assert cache.expire(before, dry_run=False) == (busy.path,)


def test_use_is_noted_when_a_file_is_taken_from_the_cache(tmp_path: Path) -> None:
    cache = Cache(tmp_path, limit_bytes=0)
    with FaultyMirror() as mirror:
        mirror.put(PATH, month_file())
        path = Path(fetch(mirror, cache).path)
        _age(path, 5)
        assert fetch(mirror, cache).from_cache
    assert path.stat().st_mtime > time.time() - HOUR
    assert cache.evict() == ()


def test_download_makes_room_and_keeps_itself(tmp_path: Path) -> None:
    cache = Cache(tmp_path, limit_bytes=1000)
    old = store(cache, "a", hours=2)
    with FaultyMirror() as mirror:
        mirror.put(PATH, month_file())
        download = fetch(mirror, cache)
    assert not old.path.exists()
    assert Path(download.path).exists()


def test_file_that_a_process_works_on_stays(cache: Cache) -> None:
    slot = store(cache, "a", 5000)
    with slot.locked(0):
        assert cache.evict() == ()
    assert slot.path.exists()
    assert cache.evict() == (slot.path,)


def test_lock_is_exclusive_and_released(cache: Cache) -> None:
    slot = cache.slot(BASE, "green/a.csv.gz")
    with slot.locked(0), pytest.raises(Timeout), slot.locked(0):
        pytest.fail("locked twice")
    with slot.locked(0):
        pass


def test_files_of_others_are_neither_counted_nor_touched(cache: Cache) -> None:
    slot = store(cache, "a", 1000)
    strangers = [
        cache.folder / "notes.csv.gz",
        cache.folder / "notes.csv.gz.lock",
        cache.folder / "project" / "poetry.lock",
        cache.folder / "project" / "poetry",
        cache.folder / "project" / "rows.csv.gz",
        cache.folder / "project" / "rows.csv.gz.lock",
        slot.path.parent / "copy.csv.gz",
    ]
    for stranger in strangers:
        stranger.parent.mkdir(exist_ok=True)
        stranger.write_bytes(bytes(10_000))
        _age(stranger, 100)
    assert cache.evict() == ()
    assert replace(cache, limit_bytes=0).evict() == (slot.path,)
    assert all(stranger.stat().st_size == 10_000 for stranger in strangers)


def test_cache_that_was_never_used_is_empty(cache: Cache) -> None:
    assert cache.evict() == ()
    assert cache.slot(BASE, "green/a.csv.gz").stored() is None
    assert not cache.folder.exists()


@pytest.fixture
def folder_of_two(cache: Cache) -> tuple[CacheSlot, CacheSlot]:
    return store(cache, "a"), store(cache, "b")


def test_record_is_only_believed_where_the_file_is_the_one(folder_of_two: tuple[CacheSlot, CacheSlot]) -> None:
    one, two = folder_of_two
    assert one.stored() is not None
    two.path.write_bytes(b"y" * 1000)
    assert two.stored() is None
