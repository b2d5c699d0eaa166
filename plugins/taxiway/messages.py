"""What others have written (files, servers, libraries), made fit for a message, a log or a table."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Sequence
from typing import Any

CALL_VARIABLE = "TAXIWAY_CALL"
"""Environment variable by which a demo tells its own call to the commands that it runs, for their advice."""

OF_AIRFLOW = "airflow/"
"""How the keys begin that Airflow itself reads from a run's conf."""

WITH_CONF = "with the conf "
"""What stands in an error before the conf, as JSON, without which the same run would fail again."""

LONGEST_MESSAGE = 2000
"""Characters of an error's message."""

LONGEST_QUOTE = 100
"""Characters of somebody else's text that a message quotes."""

LONGEST_LIST = 1400
"""Characters of a message's lists that must not be cut in two, such as statements to run: the rest needs room, too."""

MOST_LISTED = 40
"""Names that a message lists."""


def printable(text: str, length: int = LONGEST_MESSAGE) -> str:
    """Return a text of printable characters alone: control characters, line ends and bidi marks come escaped.

    :param text: the text; a lone surrogate in it is escaped, too
    :param length: characters of the result at most; what is cut out is its middle, for a message ends with advice
    """
    if len(text) > length:
        # Escaping makes a text longer, never shorter.
        text = f"{text[: length // 2]}…{text[-(length // 2) :]}"
    if not text.isprintable():
        text = "".join(
            character if character.isprintable() else character.encode("unicode_escape").decode() for character in text
        )
    if len(text) <= length:
        return text
    begin = (length - 1) // 2
    return f"{text[:begin]}…{text[len(text) - (length - 1 - begin) :]}"


def one_line(text: str, length: int = LONGEST_QUOTE) -> str:
    """Return the beginning of a text in one line of printable characters; white space becomes one space.

    :param text: the text
    :param length: characters of the result at most
    """
    # More than the result needs, and little of what may be a long text.
    words = printable(" ".join(text[: 20 * length].split())[: length + 1], 20 * length)
    return words if len(words) <= length else words[: length - 1] + "…"


def counted(number: int, noun: str) -> str:
    """Count things by what one of them is called: ``1 row``, ``2 rows``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def said_by_driver(error: Exception) -> str:
    """Return the first line that a database's driver says; SQLAlchemy adds the statement and its values to it.

    :param error: of SQLAlchemy, or any other one
    """
    said = getattr(error, "orig", None) or error
    return one_line((str(said).strip() or type(said).__name__).splitlines()[0], 300)


def quoted(text: str | bytes, length: int = LONGEST_QUOTE) -> str:
    """Return the beginning of a text, or of bytes, as Python writes it: in quotation marks, with escapes.

    :param text: the text or the bytes
    :param length: characters of the result at most, but for the quotation marks
    """
    shown = repr(text[: length + 1])
    return shown if len(text) <= length and len(shown) <= length + 3 else shown[:length] + "…" + shown[-1]


def listed(names: Sequence[str]) -> str:
    """List names, the first :data:`MOST_LISTED` of them; empty, long and unprintable ones come in quotation marks.

    :param names: for example those of a header
    """
    more = len(names) - MOST_LISTED
    shown = ", ".join(
        name if name and name.isprintable() and len(name) <= LONGEST_QUOTE else quoted(name)
        for name in names[:MOST_LISTED]
    )
    return (shown or "nothing") + (f" and {more} more" if more > 0 else "")


def without_digits(text: str) -> str:
    """Return a text with a ``#`` in place of each word with a digit in it: the same for errors of one cause.

    :param text: of an error, which may name a month, a file or a count
    """
    return " ".join("#" if any(character.isdigit() for character in word) else word for word in text.split())


def conf_needed(error: str) -> dict[str, Any]:
    """Return the conf without which the run of an error would fail again; empty if the error names none.

    :param error: what it says
    """
    _, _, conf = error.partition(WITH_CONF)
    try:
        found, _ = json.JSONDecoder().raw_decode(conf)
    except json.JSONDecodeError:
        return {}
    return found if isinstance(found, dict) else {}


def fitting(texts: Iterable[str]) -> int:
    """Return how many texts, the first of them at least, fit into :data:`LONGEST_LIST` characters of a message.

    :param texts: what a message would say of each thing in a list, its separators included
    """
    count = room = 0
    for text in texts:
        # At most ten characters for one that isn't printable.
        room += len(printable(text, 10 * len(text)))
        if count and room > LONGEST_LIST:
            break
        count += 1
    return count


def unknown_conf(conf: Iterable[object], params: Sequence[str]) -> str:
    """Return the keys of a run's conf that nobody reads, as :func:`unknown_names` does.

    :param conf: the conf's keys
    :param params: the params of the DAG
    """
    return unknown_names((key for key in conf if not str(key).startswith(OF_AIRFLOW)), params)


def unknown_names(given: Iterable[object], known: Sequence[str]) -> str:
    """Return the names that aren't known, each with the known one that it resembles; an empty text if all are known.

    :param given: names that somebody has written
    :param known: names that there are
    """
    said = []
    for name in map(str, given):
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            said.append(one_line(name, 60) + (f" (did you mean {close[0]}?)" if close else ""))
    return ", ".join(said[:10])
