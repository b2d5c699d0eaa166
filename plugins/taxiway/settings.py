"""Settings as people write them: sizes such as ``10 GiB``, numbers, folders, and yes or no."""

from __future__ import annotations

import re
from pathlib import Path

from taxiway.errors import SettingError
from taxiway.paths import ROOT

_UNITS = {"": 1, "b": 1} | {
    prefix + unit: base ** (power + 1)
    for power, prefix in enumerate("kmgt")
    for unit, base in (("b", 1000), ("ib", 1024))
}
_SIZE = re.compile(r"([0-9]{1,20}(?:\.[0-9]{1,20})?)\s*([a-z]*)", re.IGNORECASE)
_FLAGS = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}


def parse_size(value: str | int, setting: str) -> int:
    """Read a size: a number of bytes, or a number with kB, MB, GB, TB, KiB, MiB, GiB or TiB.

    :param value: for example ``10 GiB``, ``1.5GB`` or ``1048576``; case does not count
    :param setting: the setting's name, for the error
    :return: bytes
    :raises SettingError: if it is anything else
    """
    # A number of thousands of digits can't even be written down.
    text = str(value) if isinstance(value, str) or 0 <= value < 10**20 else "a number out of range"
    match = _SIZE.fullmatch(text.strip())
    factor = _UNITS.get(match[2].lower()) if match else None
    if match is None or factor is None:
        raise SettingError(f"{setting} is {text[:100]!r}: expected a size such as 10 GiB, 500 MB or a number of bytes")
    return int(float(match[1]) * factor) if "." in match[1] else int(match[1]) * factor


def parse_number(value: str, setting: str, most: int) -> int:
    """Read a whole number.

    :param setting: the setting's name, for the error
    :param most: the largest one that is allowed; the smallest is 1
    :raises SettingError: if it is anything else
    """
    text = value.strip()
    if not re.fullmatch("[0-9]{1,9}", text) or not 1 <= int(text) <= most:
        raise SettingError(f"{setting} is {value[:100]!r}: expected a whole number from 1 to {most}")
    return int(text)


def parse_flag(value: str | bool, setting: str) -> bool:
    """Read a yes or no: true, yes, on, 1, or false, no, off, 0; case does not count.

    :param value: the text, or the boolean itself
    :param setting: the setting's name, for the error
    :raises SettingError: if it is anything else
    """
    flag = _FLAGS.get(str(value).strip().lower())
    if flag is None:
        raise SettingError(f"{setting} is {value!r}: expected true or false")
    return flag


def parse_folder(value: str, setting: str) -> Path:
    """Read the path of a folder; a relative one starts at the repository's root.

    :param setting: the setting's name, for the error
    :raises SettingError: it begins with the home folder of a user whom this machine doesn't know
    """
    try:
        return ROOT / Path(value.strip()).expanduser()
    except RuntimeError:
        raise SettingError(
            f"{setting} is {value[:100]!r}: this machine knows no home folder of that user; expected a path such as "
            f"/data/taxiway. Correct the Variable {setting}"
        ) from None


def format_size(size: float) -> str:
    """Write a number of bytes for people, in decimal units: ``1.2 MB``."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "bytes" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


def in_all_units(size: int) -> str:
    """Write a number of bytes exactly, and in megabytes of both kinds: ``1500000 bytes (1.5 MB, 1.4 MiB)``."""
    return f"{size} bytes ({size / 10**6:.1f} MB, {size / 2**20:.1f} MiB)"
