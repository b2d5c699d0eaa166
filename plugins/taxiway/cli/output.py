"""How a command of ``airflow taxi`` answers: data on standard output, sentences on standard error, and an exit code."""

from __future__ import annotations

import os
import sys
from argparse import Namespace
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from typing import Any

from airflow.cli.simple_table import AirflowConsole
from airflow.utils.cli import suppress_logs_and_warning
from airflow.utils.providers_configuration_loader import providers_configuration_loaded
from airflow.utils.session import create_session
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from tabulate import tabulate  # type: ignore[import-untyped]

from taxiway.errors import InvalidArgumentError, InvalidMonthError, SettingError, TaxiwayError
from taxiway.messages import printable, said_by_driver
from taxiway.next_try import of_command
from taxiway.program import airflow_command

FINE, FINDINGS, USAGE = 0, 1, 2
"""Exit codes: nothing to be done; something is to be done, or the command could not do its work; wrong options."""

SENTENCE = "note"
"""The key of a record that holds its sentence."""


def command(run: Callable[[Namespace], int]) -> Callable[[Namespace], None]:
    """Decorate a command: its result is the exit code, its errors are said in one line, and Airflow's log is quiet.

    :param run: given the options, returns the exit code
    """

    @providers_configuration_loaded
    @suppress_logs_and_warning
    @wraps(run)
    def running(arguments: Namespace) -> None:
        # As in Airflow's own commands of connections: they are read from the metadata database, as a server reads them.
        os.environ["_AIRFLOW_PROCESS_CONTEXT"] = "server"
        try:
            with of_command():
                code = run(arguments)
        except (InvalidArgumentError, InvalidMonthError) as error:
            code = USAGE
            say(f"error: {error}")
        except TaxiwayError as error:
            code = FINDINGS
            say(f"error: {in_truth(error)}")
        except SQLAlchemyError as error:
            code = FINDINGS
            say(f"error: {silence(error)}")
        raise SystemExit(code)

    return running


def in_truth(error: TaxiwayError) -> str:
    """Return what an error says, unless Airflow's metadata database doesn't answer: then Airflow takes a connection or
    a Variable that is stored there for absent.
    """
    if isinstance(error, SettingError):
        try:
            with create_session() as session:
                session.execute(text("SELECT 1"))
        except SQLAlchemyError as unanswered:
            return silence(unanswered)
    return str(error)


def silence(error: SQLAlchemyError) -> str:
    """Say that Airflow's metadata database doesn't answer, and what its driver says."""
    doctor = airflow_command("taxi", "doctor")
    return f"Airflow's metadata database doesn't answer: {said_by_driver(error)}. To find out why: {doctor}"


def show(records: Sequence[Mapping[str, Any]], output: str) -> None:
    """Write records to standard output.

    JSON and YAML keep numbers and have the records' sentences. A table has the columns alone: its sentences, those that
    aren't empty, go to standard error. In a terminal that is too narrow for the table, each value has its own line.
    What isn't printable in a table comes escaped; nothing in it is read as markup.

    :param records: all with the same keys; their sentences at :data:`SENTENCE`
    :param output: ``table``, ``json``, ``yaml`` or ``plain``
    """
    console = AirflowConsole(markup=False, emoji=False)
    data = [dict(record) for record in records]
    if output == "json":
        console.print_as_json(data)  # type: ignore[arg-type]
        return
    if output == "yaml":
        console.print_as_yaml(data)  # type: ignore[arg-type]
        return
    sentences = [sentence for record in data if (sentence := record.pop(SENTENCE, ""))]
    rows = [{key: _cell(value) for key, value in record.items()} for record in data]
    if output == "table" and console.is_terminal and rows and _width(rows) > console.width:
        print("\n\n".join("\n".join(f"{key}: {value}".rstrip() for key, value in row.items()) for row in rows))
    elif output == "plain" and rows:
        # As Airflow's own, but a text that looks like a number stays as it is.
        print(tabulate([row.values() for row in rows], headers=list(rows[0]), tablefmt="plain", disable_numparse=True))
    else:
        console.print_as(rows, output)
    sys.stdout.flush()
    for sentence in sentences:
        say(sentence)


def _cell(value: object) -> str:
    """Return what a table shows of a value, all of it printable: lines of files and errors may hold anything."""
    text = "" if value is None else str(value)
    return printable(text, 10 * len(text))


def _width(rows: Sequence[Mapping[str, str]]) -> int:
    """Return how wide Airflow's table of the rows is."""
    longest = [max(len(key), *(len(row[key]) for row in rows)) for key in rows[0]]
    return sum(longest) + 3 * (len(longest) - 1)


def say(sentence: str) -> None:
    """Write a sentence to standard error: whole, so that a command in it can be copied."""
    print(sentence, file=sys.stderr)
