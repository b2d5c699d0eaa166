"""Reads a month's downloaded file, and makes sure that it hasn't changed since the download."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

from taxiway.download.download import Download
from taxiway.download.size_limits import unpacked_too_large
from taxiway.errors import DownloadError, InvalidFileError, MissingInputError
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
    :raises MissingInputError: the file is gone, or is another one
    :raises InvalidFileError: it isn't a file of its release's format, or is damaged
    :raises FileTooLargeError: it unpacks to more than the source allows
    :raises DownloadError: it can't be read
    """
    where = f"{source.name} {month}: {source.download_name(month)}"
    format_ = format_of(source, month)
    found = hashlib.sha256()
    try:
        layout = source.layout_of(month)
        yield from format_.blocks(Path(file.path), layout, found, limit=source.max_unpacked_size)
    except FileNotFoundError:
        raise MissingInputError(
            f"{where}: the downloaded file {file.path} is gone, expected it in the cache: clear the task "
            f"download_month with its downstream tasks to fetch it again, and raise "
            f"taxiway_cache_limit if the cache is too small"
        ) from None
    except UnpackedSizeError as error:
        raise unpacked_too_large(source, where, error) from error
    except FileFaultError as error:
        raise InvalidFileError(
            f"{where}: found {error}, expected {format_.sound}. Clear the task download_month with its "
            f"downstream tasks to fetch it again"
        ) from error
    except OSError as error:
        raise DownloadError(
            f"{where}: the downloaded file {file.path} can't be read: {error}. Expected a file of the cache that the "
            f"task may read: look at the folder and its disk; the task is tried again"
        ) from error
    # Another run may have put a newer version into the cache since this run's download.
    if found.hexdigest() != file.sha256:
        raise MissingInputError(
            f"{where}: the file {file.path} changed since it was downloaded: found SHA-256 {found.hexdigest()}, "
            f"expected {file.sha256}. Clear the task download_month with its downstream tasks to fetch it again"
        )
