"""Reads a month's downloaded file, and makes sure that it hasn't changed since the download."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path

from taxiway.download.download import Download
from taxiway.download.size_limits import unpacked_too_large
from taxiway.errors import DamagedFileError, DownloadError, MissingFileError
from taxiway.files.csv_header import RowShape, read_row_shape
from taxiway.files.file_format import FileFaultError, NotOfTypeError, TypedFormat, UnpackedSizeError
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
    found = hashlib.sha256()
    blocks = format_of(source, month).blocks(
        Path(file.path), source.layout_of(month), found, limit=source.max_unpacked_size
    )
    return _same_file(source, month, file, blocks, found)


def typed_rows(source: Source, month: Month, file: Download) -> tuple[RowShape, Iterator[bytes]]:
    """Read a downloaded file's rows as the texts that ids are made from, if its values have their columns' types.

    :return: the shape of the rows; blocks of whole lines, as :class:`taxiway.files.file_format.TypedFormat` says
    :raises NotOfTypeError: the format has no types; the lines raise it at a value that isn't of its column's type
    :raises TaxiwayError: as :func:`month_rows`
    """
    format_, found = format_of(source, month), hashlib.sha256()
    if not isinstance(format_, TypedFormat):
        raise NotOfTypeError
    _, shape, _ = month_rows(source, month, file)
    names = [column.name for column in shape.columns]
    columns = [(names.index(column.name), column.type) for column in source.layout_of(month, set(names)).columns]
    lines = format_.typed_lines(Path(file.path), columns, found, limit=source.max_unpacked_size)
    return shape, _same_file(source, month, file, lines, found)


def _same_file(
    source: Source, month: Month, file: Download, blocks: Iterator[bytes], found: hashlib._Hash
) -> Iterator[bytes]:
    where = f"{source.name} {month}: {source.download_name(month)}"
    try:
        yield from blocks
    except (FileNotFoundError, NotADirectoryError):
        raise gone(where, file.path) from None
    except UnpackedSizeError as error:
        raise unpacked_too_large(source, where, error) from error
    except FileFaultError as error:
        raise DamagedFileError(f"{where}: found {error}, expected {format_of(source, month).sound}") from error
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
