"""Adds ``airflow taxi …`` to Airflow's command line.

``config/airflow_local_settings.py`` calls :func:`register` while Airflow starts, before the parser is built. Nothing
here is slow to import: a command's module is imported when the command runs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from taxiway.loads.known_samples import sample_tests
from taxiway.program import airflow_command

if TYPE_CHECKING:
    from airflow.cli.cli_config import ActionCommand, Arg, GroupCommand

    from taxiway.loads.known_samples import IsSample

GROUP = "taxi"

WAREHOUSES = ("postgres", "bigquery")
"""Those of :data:`taxiway.orchestration.warehouses.WAREHOUSES`, which is slow to import."""


start_errors: list[str] = []
"""Why Airflow's metadata database can't be started here, line by line; ``doctor`` alone runs all the same."""


def register(is_sample: IsSample) -> None:
    """Add the group ``taxi``; adding it twice changes nothing.

    :param is_sample: says whether a file is a sample, by source, month, SHA-256 and rows
    """
    sample_tests[:] = [is_sample]
    from airflow.cli.cli_config import core_commands

    core_commands[:] = [*(command for command in core_commands if command.name != GROUP), group()]


def group() -> GroupCommand:
    """Return the group and its commands, as Airflow's parser takes them."""
    from airflow.cli.cli_config import GroupCommand

    return GroupCommand(
        name=GROUP,
        help="Look at the taxi months that are loaded, and at the installation",
        subcommands=(_doctor(), _status(), _plan(), _rejects(), _verify(), _alerts()),
    )


def _doctor() -> ActionCommand:
    from airflow.cli.cli_config import ARG_OUTPUT, ARG_VERBOSE, ActionCommand, Arg, lazy_load_command

    return ActionCommand(
        name="doctor",
        help="Find what is wrong, and say what mends it",
        description=(
            "Check Python and its packages, disk, memory, clock, Airflow and its services, mirrors and warehouses,\n"
            "and what broken runs have left. A line for each check says ok, warn, fail or skip, and what mends it.\n"
            "A check is skipped if another one, which it needs, has failed. Nothing is changed. If Airflow itself\n"
            "doesn't start: make doctor. Exit code: 0 if no check failed (warnings are allowed), 1 if one did,\n"
            "2 if the options are wrong."
        ),
        epilog=_examples(
            "doctor",
            "doctor --warehouse postgres",
            "doctor --output json",
        ),
        func=lazy_load_command("taxiway.cli.doctor.command.doctor"),
        args=(
            Arg(("--warehouse",), choices=WAREHOUSES, help="Look at this warehouse only (default: at all of them)"),
            ARG_OUTPUT,
            ARG_VERBOSE,
        ),
    )


def _status() -> ActionCommand:
    from airflow.cli.cli_config import ActionCommand, Arg, lazy_load_command

    return ActionCommand(
        name="status",
        help="Show which months are loaded, and what needs a person",
        description=(
            "Show a strip of months for each source, and then each month whose last load failed, with the\n"
            "reason and the command that loads it again. It asks the ledger. Exit code: 0 if no month failed or\n"
            "waits for a person, 1 if one does, 2 if the options are wrong."
        ),
        epilog=_examples(
            "status",
            "status --source green --from 2020-01",
            "status --failed --output json",
        ),
        func=lazy_load_command("taxiway.cli.status.status"),
        args=(
            Arg(("--failed",), action="store_true", help="Only months whose last load failed"),
            *_months(),
            *_common(),
        ),
    )


def _plan() -> ActionCommand:
    from airflow.cli.cli_config import ActionCommand, Arg, lazy_load_command

    return ActionCommand(
        name="plan",
        help="Show what a backfill would load, and what it may take",
        description=(
            "Ask the mirror by HEAD for the file of each month, and compare it with the ledger: which months\n"
            "would be loaded, and why. Time and disk are estimated by what past loads have taken. Nothing is\n"
            "changed. Dates are read as airflow dags backfill reads them. Exit code: 0 if the months can be\n"
            "loaded, 1 if a file is absent, a mirror doesn't answer or the disk is too small, 2 if the options\n"
            "are wrong."
        ),
        epilog=_examples(
            "plan -s 2019-01-01 -e 2020-12-31 green",
            "plan -s 2024-01-01 -e 2024-12-31 yellow --warehouse bigquery",
            "plan zones --output json",
        ),
        func=lazy_load_command("taxiway.cli.plan.plan"),
        args=(
            _source(),
            Arg(
                ("-s", "--start-date"),
                help="First day, YYYY-MM-DD, or first moment, YYYY-MM-DDTHH:MM:SS+00:00; without an offset, in the "
                "source's time zone. Without it, the day of --end-date",
            ),
            Arg(
                ("-e", "--end-date"),
                help="Last day, included to its end, or last moment. Without it, the day of --start-date",
            ),
            *_common(),
        ),
    )


def _rejects() -> ActionCommand:
    from airflow.cli.cli_config import ActionCommand, Arg, lazy_load_command

    return ActionCommand(
        name="rejects",
        help="Show lines that could not be read, and write their file to mend them",
        description=(
            "Show the lines of a month's file that could not be read, each with its number and the reason.\n"
            "With --csv, write the file again with these lines first, to be mended and loaded.\n"
            "Exit code: 0 if every line could be read, 1 if one could not, 2 if the options are wrong."
        ),
        epilog=_examples(
            "rejects green 2019-03",
            "rejects green 2019-03 --output json",
            "rejects green 2019-03 --csv mended",
        ),
        func=lazy_load_command("taxiway.cli.rejects.rejects"),
        args=(
            _source(),
            Arg(("month",), metavar="MONTH", help="The month, YYYY-MM; of a file of no month: whole"),
            Arg(
                ("--csv",),
                metavar="FOLDER",
                help="Write the month's file below this folder, at its path at the mirror, its rejected lines first",
            ),
            *_common(),
        ),
    )


def _verify() -> ActionCommand:
    from airflow.cli.cli_config import ActionCommand, Arg, lazy_load_command

    return ActionCommand(
        name="verify",
        help="Compare published months with what they must hold",
        description=(
            "Compare the rows of published months with the ledger: a row that somebody has added, changed\n"
            "or deleted is found. With --course, compare them with the published totals of the course and\n"
            "with the row counts in the TLC's files. With --against, compare them with another warehouse's,\n"
            "or with the files that they were loaded from, which are downloaded if the cache lacks them.\n"
            "A month that isn't loaded is not compared. Exit code: 0 if all that was compared is right,\n"
            "1 if something differs or nothing was compared, 2 if the options are wrong."
        ),
        epilog=_examples(
            "verify",
            "verify --source green --from 2019-01 --to 2019-12",
            "verify --course",
            "verify --course --source green --from 2020-01 --to 2020-12",
            "verify --course --warehouse bigquery",
            "verify --against bigquery",
            "verify --against file --source green --from 2019-01 --to 2019-03",
            "verify --course --output json",
        ),
        func=lazy_load_command("taxiway.cli.verify.verify"),
        args=(
            Arg(
                ("--course",),
                action="store_true",
                help="Compare with the figures of include/known_figures.csv",
            ),
            Arg(
                ("--against",),
                choices=(*WAREHOUSES, "file"),
                help="Compare rows, sums and ids with those of this warehouse, or of the files of the months",
            ),
            *_months(),
            *_common(),
        ),
    )


def _alerts() -> ActionCommand:
    from airflow.cli.cli_config import ActionCommand, Arg, lazy_load_command

    return ActionCommand(
        name="alerts",
        help="Show who is told if a month fails, and send a test message",
        description=(
            "Show who is told what, and how, as the Variable taxiway_alerts says. With --test, send each of them\n"
            "a message, whatever they want to be told about, and say which one didn't go, and why.\n"
            "Exit code: 0 if all is fine, 1 if a message didn't go or nobody is told of a test, or the Variable\n"
            "can't be used, 2 if the options are wrong."
        ),
        epilog=_examples(
            "alerts",
            "alerts --test",
            "alerts --test --output json",
        ),
        func=lazy_load_command("taxiway.cli.alerts.alerts"),
        args=(
            Arg(("--test",), action="store_true", help="Send a test message to each of them"),
            *_common(),
        ),
    )


def _source() -> Arg:
    """Return the argument that names a source."""
    from airflow.cli.cli_config import Arg

    return Arg(("source",), metavar="SOURCE", help="Name of a source, such as green")


def _months() -> tuple[Arg, ...]:
    """Return the options that say which months."""
    from airflow.cli.cli_config import Arg

    return (
        Arg(("--source",), help="Name of a source, such as green (default: every source)"),
        Arg(("--from",), dest="first", metavar="YYYY-MM", help="First month (default: the first one of all)"),
        Arg(("--to",), dest="last", metavar="YYYY-MM", help="Last month, included (default: the last one of all)"),
    )


def _common() -> tuple[Arg, ...]:
    """Return the options that every command has."""
    from airflow.cli.cli_config import ARG_OUTPUT, ARG_VERBOSE, Arg

    return (
        Arg(
            ("--warehouse",),
            choices=WAREHOUSES,
            default="postgres",
            help="Which warehouse (default: %(default)s)",
        ),
        ARG_OUTPUT,
        ARG_VERBOSE,
    )


def _examples(*calls: str) -> str:
    """Return the examples of a command's help, with the program as the user calls it."""
    return "examples:\n" + "\n".join(f"  {airflow_command(GROUP, *call.split())}" for call in calls)
