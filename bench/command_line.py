"""What the benchmarks' commands are given, refused in one sentence."""

from __future__ import annotations

import argparse
import math
import sys
from typing import NoReturn

from taxiway.messages import printable


class OneSentenceParser(argparse.ArgumentParser):
    """A parser whose refusal is one sentence, without the usage before it: the caller has typed variables of make."""

    def error(self, message: str) -> NoReturn:
        """End the command with 2.

        :param message: what was found and what was expected
        """
        print(f"{self.prog}: {message.removeprefix('argument --')}", file=sys.stderr)
        sys.exit(2)


def whole_number(text: str) -> int:
    """Read a whole number as it was typed.

    :raises argparse.ArgumentTypeError: says what was found and what was expected
    """
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"found {printable(text, 40)!r}, expected a whole number") from None


def number(text: str) -> float:
    """Read a finite number as it was typed.

    :raises argparse.ArgumentTypeError: says what was found and what was expected
    """
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise argparse.ArgumentTypeError(f"found {printable(text, 40)!r}, expected a number")
    return value
