"""Reads a month's downloaded file, and makes sure that it hasn't changed since the download."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path

from taxiway.download.download import Download
from taxiway.download.size_limits import unpacked_too_large
from taxiway.errors import DamagedFileError, DownloadError, MissingFileError
from taxiway.files.csv_header import RowShape, read_row_shape
from taxiway.files.file_format import FileFaultError, UnpackedSizeError
from taxiway.files.formats import format_of
from taxiway.sources.months import Month
from taxiway.sources.source import Source


def unpacked_month(source: Source, month: Month, file: Download) -> Iterator[bytes]:
    """Yield a downloaded file as CSV, block by block; if it ends without an error, it is sound, and the right file.

    :param source: whose file; says how much it may unpack to
    :param month: which month
    :param file: what ``download_month`` returned
    :return: blocks as :data:`taxiway.files.file_format.BLOCK` says
    :raises MissingFileError: the file is gone, or is another one
    :raises DamagedFileError: it isn't a file of its release's format, or is damaged
    :raises FileTooLargeError: it unpacks to more than the source allows
    :raises DownloadError: it can't be read
    """
    where = f"{source.name} {month}: {source.download_name(month)}"
    format_ = format_of(source, month)
    found = hashlib.sha256()
    try:
        layout = source.layout_of(month)
        yield from format_.blocks(Path(file.path), layout, found, limit=source.max_unpacked_size)
    except (FileNotFoundError, NotADirectoryError):
        raise gone(where, file.path) from None
    except UnpackedSizeError as error:
        raise unpacked_too_large(source, where, error) from error
    except FileFaultError as error:
        raise DamagedFileError(f"{where}: found {error}, expected {format_.sound}") from error
    except OSError as error:
        raise DownloadError(
            f"{where}: the downloaded file {file.path} can't be read: {error}. Expected a file of the cache that the "
            f"task may read: look at the folder and its disk; the task is tried again"
        ) from error
    require_same(where, file.path, found.hexdigest(), file.sha256)


def gone(where: str, path: Path | str) -> MissingFileError:
    """Return the error for a downloaded file that isn't in the cache: this may be another machine.

    :param where: what begins the message
    :param path: where the file should be
    """
    return MissingFileError(f"{where}: the downloaded file {path} is gone, expected it in the cache")


def require_same(where: str, path: Path | str, found: str, expected: str) -> None:
    """Make sure that a file is the downloaded one: another run may have put a newer version into the cache.

    :param where: what begins the message
    :param path: of the file
    :param found: SHA-256 of what was read
    :param expected: SHA-256 of what was downloaded
    :raises MissingFileError: it is another one
    """
    if found != expected:
        raise MissingFileError(
            f"{where}: the file {path} changed since it was downloaded: found SHA-256 {found}, expected {expected}"
        )


def month_rows(source: Source, month: Month, file: Download) -> tuple[bytes, RowShape, Iterator[bytes]]:
    """Read a downloaded file's header, and which fields its rows have.

    :param source: the source
    :param month: which month
    :param file: what ``download_month`` returned
    :return: as :func:`taxiway.files.csv_header.read_row_shape`
    :raises TaxiwayError: as :func:`taxiway.files.csv_header.read_row_shape` and :func:`unpacked_month`
    """

    def declared() -> Mapping[str, str]:
        try:
            return format_of(source, month).declared_types(Path(file.path))
        except (OSError, FileFaultError):
            return {}  # another file has just taken its path, or none has

    return read_row_shape(source, month, unpacked_month(source, month, file), declared)
