"""Reads the JSON of a Variable, and says what is wrong with it."""

from __future__ import annotations

from typing import TypeVar

from pydantic import TypeAdapter, ValidationError

from taxiway.errors import SettingError

T = TypeVar("T")

MOST_MISTAKES = 5
"""Mistakes that an error names."""


def parse(text: str, kind: TypeAdapter[T], problem: str, expected: str) -> T:
    """Read JSON.

    :param kind: what it has to be
    :param problem: what the error begins with: the Variable, and what comes of it
    :param expected: what the error ends with: an example, and where it is explained
    :raises SettingError: says what is wrong, and where
    """
    try:
        return kind.validate_json(text)
    except ValidationError as error:
        found = "; ".join(
            f"{'.'.join(map(str, each['loc'])) or 'the value'}: {each['msg']}"
            for each in error.errors(include_url=False)[:MOST_MISTAKES]
        )
        raise SettingError(f"{problem}: {found}; expected {expected}") from None
