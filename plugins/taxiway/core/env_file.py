"""The text of ``.env``, which Docker Compose and the local commands share.

Runs on the standard library alone: ``docker/make_env.py`` imports it on a machine where nothing is installed, and
every Python of the virtual environment when it starts.
"""

from __future__ import annotations

import codecs
from pathlib import Path

_OTHER_MARKS = {
    codecs.BOM_UTF32_LE: "UTF-32",
    codecs.BOM_UTF32_BE: "UTF-32",
    codecs.BOM_UTF16_LE: "UTF-16",
    codecs.BOM_UTF16_BE: "UTF-16",
}


class EnvFileError(Exception):
    """A file of settings that can't be read; names it, what was found and what to do."""


def read_env_text(path: Path) -> str | None:
    """Return the text of a file of settings, without a byte order mark and with plain line ends.

    :param path: the file
    :return: its text; None if there is no such file
    :raises EnvFileError: it isn't a file of UTF-8 text, or can't be read
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise EnvFileError(
            f"{path} can't be read ({error.strerror}): expected a text file that you may read. Correct or remove it"
        ) from error
    found = next((name for mark, name in _OTHER_MARKS.items() if content.startswith(mark)), None)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        found = found or f"the byte 0x{content[error.start]:02X} in line {line}, which isn't UTF-8"
    else:
        if "\0" in text:
            found = found or f"a NUL byte in line {text[: text.index(chr(0))].count(chr(10)) + 1}"
    if found:
        raise EnvFileError(f"{path} can't be read: found {found}, expected UTF-8 text. Save it as UTF-8 and try again")
    return text.replace("\r\n", "\n").replace("\r", "\n")
