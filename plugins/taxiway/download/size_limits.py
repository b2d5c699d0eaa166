"""How large a source's file may be: as it comes, and unpacked."""

from __future__ import annotations

from taxiway.errors import FileTooLargeError
from taxiway.files.file_format import UnpackedSizeError
from taxiway.settings import format_size
from taxiway.sources.source import Source


def file_too_large(source: Source, where: str, found: str) -> FileTooLargeError:
    """Return the exception for a download over the source's ``max_file_size``.

    :param where: what the message begins with: source, month and address
    :param found: what came, in words that follow "found"
    """
    return _too_large(source, where, found, source.max_file_size, "max_file_size")


def unpacked_too_large(source: Source, where: str, fault: UnpackedSizeError) -> FileTooLargeError:
    """Return the exception for a file that unpacks to more than the source's ``max_unpacked_size``.

    :param where: what the message begins with: source, month and file
    :param fault: where unpacking stopped
    """
    return _too_large(source, where, str(fault), source.max_unpacked_size, "max_unpacked_size")


def _too_large(source: Source, where: str, found: str, limit: int, key: str) -> FileTooLargeError:
    return FileTooLargeError(
        f"{where}: found {found}; expected at most {limit} bytes ({format_size(limit)}). Look at what the mirror "
        f"serves; if the file is right, raise {key} in include/sources/{source.name}.yaml, and clear download_month "
        f"with its downstream tasks"
    )
