"""How a local command ends: with its exit code, and never with a failure that says nothing."""

from __future__ import annotations

import subprocess
import sys
import traceback
from collections.abc import Callable
from typing import NoReturn

import psycopg

from taxiway.errors import ProgramError, TaxiwayError
from taxiway_local import environment

EXIT_USAGE = 2
"""What was asked for can't be done; nothing was changed."""

EXIT_INTERRUPTED = 130
"""What a shell gives for Ctrl-C."""

_EXPECTED = (TaxiwayError, OSError, psycopg.Error)
"""What goes wrong on somebody's machine, rather than in the code: the message is enough, without a traceback."""


def end(main: Callable[[], int], command: str) -> NoReturn:
    """Run a command's main function and end the process with its exit code.

    :param main: returns the exit code, and has said why if it isn't 0
    :param command: how it was called, for messages: ``make setup``
    """
    if environment.PROBLEM:
        # Said when Python started. Half of the settings may lead to another warehouse.
        sys.exit(EXIT_USAGE)
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        print(f"{command}: stopped", file=sys.stderr)
        sys.exit(EXIT_INTERRUPTED)
    except subprocess.CalledProcessError as error:
        said = f", and said: {str(error.output).strip()}" if str(error.output or "").strip() else " without a word"
        print(f"{command} stops: {_program(error)} ended with {error.returncode}{said}", file=sys.stderr)
    except ProgramError as error:
        print(f"{command} stops: {error.with_lines}", file=sys.stderr)
    except _EXPECTED as error:
        print(f"{command} stops: {str(error).strip() or type(error).__name__}", file=sys.stderr)
    except Exception as error:
        traceback.print_exc()
        print(f"{command} stops: {type(error).__name__}: {error}", file=sys.stderr)
    sys.exit(1)


def _program(error: subprocess.CalledProcessError) -> str:
    return error.cmd if isinstance(error.cmd, str) else " ".join(map(str, error.cmd))
