"""The folder of verified files and of transfers that aren't complete.

A mirror has a folder of its own, named by its host and a hash of its address. In it a file has the same path as at the
mirror. Beside ``<file>`` stand:

- ``<file>.json``, its record: where it came from, its validators, size and SHA-256;
- ``<file>.part`` and ``<file>.part.json``, a transfer that isn't complete;
- ``<file>.lock``, locked by the process that works on the file; it stays, empty, because removing a lock file would let
  two processes lock at once.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from filelock import FileLock, Timeout

from taxiway.download.validators import Validators
from taxiway.files.gzip_file import GzipFaultError, check_gzip
from taxiway.settings import format_size
from taxiway.sources.release import FORMATS

KEEP_SECONDS = 3600.0
"""How long after its last use a file is safe from eviction, in seconds: a later step still reads it."""

log = logging.getLogger(__name__)

_BLOCK = 1024 * 1024
_ENDINGS = tuple(f".{name}" for name in FORMATS)
_MIRROR_FOLDER = re.compile(r"[a-z0-9._-]+-[0-9a-f]{12}")


@dataclass(frozen=True)
class StoredFile:
    """The record of a verified file.

    :param url: where it was fetched, without credentials
    :param validators: the mirror's name for this version
    :param size: bytes
    :param sha256: in hexadecimal
    :param unpacked_bytes: bytes that it unpacks to; of an unpacked file, its own
    """

    url: str
    validators: Validators
    size: int
    sha256: str
    unpacked_bytes: int


@dataclass(frozen=True)
class PartialFile:
    """The record of a transfer that broke off, and what there is of it.

    :param validators: of the version that it is a part of
    :param encoding: the answer's Content-Encoding, or an empty text
    :param total: bytes of the whole, if the mirror announced them
    :param size: bytes that are there
    """

    validators: Validators
    encoding: str
    total: int | None
    size: int = 0


@dataclass(frozen=True)
class CacheSlot:
    """One file's place in the cache.

    :param path: the verified file itself
    """

    path: Path

    @property
    def part(self) -> Path:
        """What a transfer has received so far."""
        return self._beside(".part")

    @property
    def unwrapped(self) -> Path:
        """The file in which a second compression of the ``.part`` is undone before it is put in place."""
        return self._beside(".part.new")

    @contextmanager
    def locked(self, timeout: float) -> Iterator[None]:
        """Keep every other process off this file; the operating system unlocks it when this one ends.

        :param timeout: seconds to wait for another process
        :raises filelock.Timeout: if the other process still works on the file
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self._beside(".lock"))
        try:
            lock.acquire(timeout=0)
        except Timeout:
            if timeout <= 0:
                raise
            log.info("%s: another process is fetching this file; waiting for it", self.path.name)
            lock.acquire(timeout=timeout)
        try:
            yield
        finally:
            lock.release()

    def stored(self) -> StoredFile | None:
        """Return the file's record if the file on disk is the verified one: size and SHA-256 fit."""
        document = _read_json(self._beside(".json"))
        try:
            validators = Validators.from_dict(document["validators"])
            size, sha256, unpacked_bytes = document["size"], document["sha256"], document.get("unpacked_bytes")
            if self.path.stat().st_size != size:
                return None
            if unpacked_bytes is not None:
                found = _sha256(self.path)
            else:
                # The record of 0.1.0, which had gzip files alone: verified as a whole then, and not measured.
                contents = check_gzip(self.path)
                found, unpacked_bytes = contents.sha256, contents.unpacked
            return StoredFile(document["url"], validators, size, sha256, unpacked_bytes) if found == sha256 else None
        except (KeyError, TypeError, FileNotFoundError, GzipFaultError):
            return None

    def recorded(self) -> tuple[Validators, int] | None:
        """Return what names the version of the file on disk, and its size; its bytes aren't read."""
        document = _read_json(self._beside(".json"))
        try:
            size = self.path.stat().st_size
            return (Validators.from_dict(document["validators"]), size) if size == document["size"] else None
        except (KeyError, TypeError, FileNotFoundError):
            return None

    def partial(self) -> PartialFile | None:
        """Return what an earlier transfer left, if more can be appended to it safely."""
        document = _read_json(self._beside(".part.json"))
        try:
            size = self.part.stat().st_size
            validators = Validators.from_dict(document["validators"])
            part = PartialFile(validators, document["encoding"], document["total"], size)
        except (KeyError, TypeError, FileNotFoundError):
            return None
        too_long = part.total is not None and size > part.total
        return None if size == 0 or too_long or validators.if_range is None else part

    def begin(self, part: PartialFile) -> None:
        """Start a transfer: an empty ``.part``, and its record."""
        # Emptied first: a record must never be next to bytes of another version.
        self.part.write_bytes(b"")
        _write_json(self._beside(".part.json"), asdict(part))

    def shorten(self, size: int) -> None:
        """Cut what an earlier transfer left to so many bytes."""
        os.truncate(self.part, size)

    def drop_part(self) -> None:
        """Forget a transfer."""
        for file in self.part_files:
            file.unlink(missing_ok=True)

    def commit(self, stored: StoredFile) -> None:
        """Put the verified ``.part`` in the file's place, whole or not at all, also through a power cut."""
        with self.part.open("rb+") as file:
            os.fsync(file.fileno())
        self.part.replace(self.path)
        # A crash before the next line leaves a record that doesn't fit the file: it counts as absent.
        _write_json(self._beside(".json"), asdict(stored))
        self.drop_part()
        self.touch()
        folder = os.open(self.path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def touch(self) -> None:
        """Note that the file is used now; its time of change is the cache's clock of use."""
        os.utime(self.path)

    def evict(self, files: tuple[Path, ...], unused_since: float) -> int | None:
        """Delete files of this slot, unless a process works on it or the first was used in the meantime.

        :param files: of :attr:`part_files` or :attr:`stored_files`
        :param unused_since: seconds since the epoch
        :return: bytes that were freed; None if the files were left
        """
        try:
            with self.locked(timeout=0):
                changed = _stat(files[0])
                if changed is None or changed.st_mtime > unused_since:
                    return None
                freed = sum(stat.st_size for stat in map(_stat, files) if stat is not None)
                for file in files:
                    file.unlink(missing_ok=True)
                return freed
        except Timeout:
            return None

    @property
    def part_files(self) -> tuple[Path, ...]:
        """The transfer, then what belongs to it."""
        return self.part, self._beside(".part.json"), self._beside(".part.json.new"), self.unwrapped

    @property
    def stored_files(self) -> tuple[Path, ...]:
        """The verified file, then what belongs to it."""
        return self.path, self._beside(".json"), self._beside(".json.new")

    def _beside(self, ending: str) -> Path:
        return self.path.with_name(self.path.name + ending)


@dataclass(frozen=True)
class Cache:
    """A cache folder with a limit.

    :param folder: its path; it is created when first needed
    :param limit_bytes: what its files may take up together, in bytes
    :param keep_seconds: a file used more recently than that is never evicted
    """

    folder: Path
    limit_bytes: int
    keep_seconds: float = KEEP_SECONDS

    def slot(self, base_url: str, file_path: str) -> CacheSlot:
        """Return a file's place.

        :param base_url: the mirror's address, without credentials
        :param file_path: the file's path below it
        """
        host = re.sub(r"[^a-z0-9._-]", "_", (urlsplit(base_url).hostname or "").lower())
        return CacheSlot(self.folder / f"{host}-{hashlib.sha256(base_url.encode()).hexdigest()[:12]}" / file_path)

    def size(self) -> int:
        """Return how many bytes its files take up; files that Taxiway didn't put there aren't counted."""
        files = (file for slot in self._slots() for file in (*slot.stored_files, *slot.part_files))
        return sum(stat.st_size for stat in map(_stat, files) if stat is not None)

    def evict(self) -> tuple[Path, ...]:
        """Delete until the rest fits: first transfers that were given up, then the files longest unused.

        Files that Taxiway didn't put there are neither counted nor touched.

        :return: what was deleted
        """
        now = time.time()
        unused_since = now - self.keep_seconds
        total = 0
        candidates: list[tuple[bool, float, CacheSlot]] = []
        for slot in self._slots():
            for whole in (False, True):
                stats = [_stat(file) for file in (slot.stored_files if whole else slot.part_files)]
                total += sum(stat.st_size for stat in stats if stat is not None)
                if stats[0] is not None and stats[0].st_mtime > now:
                    # The clock has gone back since: the file would count as used until it is there again.
                    with suppress(FileNotFoundError):
                        os.utime(slot.stored_files[0] if whole else slot.part_files[0])
                elif stats[0] is not None and stats[0].st_mtime <= unused_since:
                    candidates.append((whole, stats[0].st_mtime, slot))
        evicted = []
        for whole, _, slot in sorted(candidates, key=lambda candidate: candidate[:2]):
            if total <= self.limit_bytes:
                break
            files = slot.stored_files if whole else slot.part_files
            freed = slot.evict(files, unused_since)
            if freed is not None:
                total -= freed
                evicted.append(files[0])
                log.info("Removed %s from the cache, longest unused", files[0])
        if total > self.limit_bytes:
            log.warning(
                "The cache %s holds %s, over its limit of %s: what is left was used in the last %.0f minutes",
                self.folder,
                format_size(total),
                format_size(self.limit_bytes),
                self.keep_seconds / 60,
            )
        return tuple(evicted)

    def expire(self, unused_since: float, *, dry_run: bool) -> tuple[Path, ...]:
        """Delete transfers that were given up, and files that nobody has used for long; not while they are worked on.

        :param unused_since: seconds since the epoch
        :param dry_run: whether only to say what would be deleted
        :return: what was deleted, or would be
        """
        expired = []
        for slot in self._slots():
            for files in (slot.part_files, slot.stored_files):
                found = _stat(files[0])
                if found is None or found.st_mtime > unused_since:
                    continue
                if dry_run or slot.evict(files, unused_since) is not None:
                    expired.append(files[0])
        return tuple(expired)

    def _slots(self) -> Iterator[CacheSlot]:
        for folder in self.folder.iterdir() if self.folder.is_dir() else ():
            if _MIRROR_FOLDER.fullmatch(folder.name):
                for lock in folder.rglob("*.lock"):
                    if lock.stem.endswith(_ENDINGS):
                        yield CacheSlot(lock.with_suffix(""))


def _stat(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except FileNotFoundError:
        return None


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb", buffering=0) as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def _read_json(path: Path) -> Mapping[str, Any]:
    """Read a record; an empty one if it can't be read."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return document if isinstance(document, dict) else {}


def _write_json(path: Path, document: Mapping[str, Any]) -> None:
    new = path.with_name(path.name + ".new")
    with new.open("w", encoding="utf-8") as file:
        json.dump(document, file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
