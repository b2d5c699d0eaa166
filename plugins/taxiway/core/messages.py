"""What others have written, made fit for a message or a log."""

from __future__ import annotations


def one_line(text: str, length: int) -> str:
    """Return a text in one line, shortened, without anything that a terminal or a log would act on.

    :param text: the text
    :param length: characters that are kept at most
    """
    words = " ".join("".join(character if character.isprintable() else " " for character in text).split())
    return words if len(words) <= length else words[: length - 1] + "…"
