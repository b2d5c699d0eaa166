"""The text of ``.env``, which Docker Compose and the local commands share.

It needs the standard library only. ``docker/make_env.py`` imports it on machines without any package, and every Python
of the virtual environment imports it when it starts.
"""

from __future__ import annotations

import codecs
import re
from pathlib import Path

SERVICES_ENVIRONMENT = ".taxiway/services.env"
"""Where ``make up`` writes the settings of the services that it started, below ``AIRFLOW_HOME``."""

_OTHER_MARKS = {
    codecs.BOM_UTF32_LE: "UTF-32",
    codecs.BOM_UTF32_BE: "UTF-32",
    codecs.BOM_UTF16_LE: "UTF-16",
    codecs.BOM_UTF16_BE: "UTF-16",
}

_NAME = re.compile(r"(?:export\s+)?([A-Za-z_][A-Za-z0-9_.-]*)\s*")
_QUOTED = re.compile(r"""(['"])((?:(?!\1)[^\\]|\\.)*)\1\s*(#.*)?""")


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
    text, found = "", next((name for mark, name in _OTHER_MARKS.items() if content.startswith(mark)), None)
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


def read_assignments(path: Path) -> dict[str, str]:
    """Read the ``NAME=value`` lines of a file of settings, with Docker Compose's comments and quotes.

    A name alone has no value here: Docker Compose, too, takes it from the shell's environment.

    :param path: the file; one that is absent holds nothing
    :return: names and values
    :raises EnvFileError: the file or one of its lines can't be read; never quotes the line, which may be a secret
    """
    values = {}
    for number, line in enumerate((read_env_text(path) or "").split("\n"), 1):
        if not (stripped := line.strip()) or stripped.startswith("#"):
            continue
        left, separator, right = stripped.partition("=")
        name, value = _NAME.fullmatch(left), _read_value(right.strip())
        if name is None or value is None:
            if not separator:
                found = "text without ="
            elif name is None:
                found = "a name that isn't letters, digits and _" if left else "= without a name before it"
            else:
                found = f"a quote that isn't closed, or text behind its end, in the value of {name[1]}"
            raise EnvFileError(
                f"{path} can't be read: found {found} in line {number}, expected NAME=value, all in one line. "
                f"Correct the line, or put # before it"
            )
        if separator:
            values[name[1]] = value
    return values


def _read_value(text: str) -> str | None:
    """Return the value that a text means; None if its quotes aren't whole."""
    if text.startswith(("'", '"')):
        quoted = _QUOTED.fullmatch(text)
        return quoted[2] if quoted else None
    return text if text.startswith("{") else text.partition(" #")[0].rstrip()
