"""Gives ``airflow dags backfill`` back to Airflow's command line.

Airflow 3 dropped the command. ``config/airflow_local_settings.py`` calls
:func:`register` while Airflow starts, before the parser is built.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow.cli.cli_config import ActionCommand, Arg, CLICommand

COMMAND = "backfill"
DEFAULT_MAX_ACTIVE_RUNS = 4

DESCRIPTION = (
    "Run a DAG for every logical date of a range, and for no other, and show how it goes. Works with or "
    "without Airflow's services, and leaves the DAG paused or not, as it was. Dates without a time are days "
    "in the DAG's time zone, the end day included. Ends with 0 only if every run of the range succeeded."
)


worker_preparations: list[Callable[[str], None]] = []
"""What else is called once, with the DAG's id, in the process from which the workers of tasks are forked."""


def register(prepare_workers: Callable[[str], None]) -> None:
    """Add the command to the group ``dags``; adding it twice changes nothing.

    :param prepare_workers: called once with the DAG's id in the process from which the workers are forked: what it
        loads or compiles there, no task has to
    """
    worker_preparations[:] = [prepare_workers]
    from airflow.cli import cli_config
    from airflow.cli.commands import legacy_commands

    # Until it is forgotten here, the parser answers that the command has been removed.
    legacy_commands.COMMAND_MAP.pop(f"dags {COMMAND}", None)
    commands: list[CLICommand] = cli_config.core_commands
    for position, group in enumerate(commands):
        if isinstance(group, cli_config.GroupCommand) and group.name == "dags":
            others = [command for command in group.subcommands if command.name != COMMAND]
            commands[position] = group._replace(
                subcommands=tuple(sorted([*others, _command()], key=lambda command: command.name))
            )


def _command() -> ActionCommand:
    from airflow.cli.cli_config import ActionCommand, lazy_load_command

    return ActionCommand(
        name=COMMAND,
        help="Run a DAG for every logical date of a range",
        description=DESCRIPTION,
        func=lazy_load_command("dags_backfill.command.backfill"),
        args=_arguments(),
    )


def _arguments() -> Sequence[Arg]:
    from airflow.cli.cli_config import ARG_DAG_ID, ARG_VERBOSE, Arg, positive_int

    return (
        ARG_DAG_ID,
        Arg(
            ("-s", "--start-date"),
            help="First day, YYYY-MM-DD, or first moment, YYYY-MM-DDTHH:MM:SS+00:00; without an offset, in the "
            "DAG's time zone. Without it, the day of --end-date",
        ),
        Arg(
            ("-e", "--end-date"),
            help="Last day, included to its end, or last moment. Without it, the day of --start-date",
        ),
        Arg(
            ("--max-active-runs",),
            type=positive_int(allow_zero=False),
            default=DEFAULT_MAX_ACTIVE_RUNS,
            help="How many runs go on at once (default: %(default)s)",
        ),
        Arg(
            ("--reprocess-behavior",),
            choices=("none", "failed", "completed"),
            help="What to do with a logical date that has been run before: none leaves it as it is (the default), "
            "failed runs it again if it failed, completed in any case. A run that was interrupted is always finished",
        ),
        Arg(
            ("--rerun-failed-tasks",),
            action="store_true",
            help="The same as --reprocess-behavior failed, as in Airflow 2",
        ),
        Arg(
            ("--reset-dagruns",),
            action="store_true",
            help="The same as --reprocess-behavior completed, as in Airflow 2",
        ),
        Arg(
            ("-B", "--run-backwards"),
            action="store_true",
            help="Start with the latest logical date. Not for DAGs with tasks that depend on past runs",
        ),
        Arg(("-c", "--conf", "--dag-run-conf"), dest="conf", help="JSON object that every run gets as its conf"),
        Arg(("-n", "--dry-run"), action="store_true", help="Say what would be done for each run, and change nothing"),
        Arg(("-y", "--yes"), action="store_true", help="Accepted as in Airflow 2; nothing is asked"),
        Arg(
            ("--continue-on-failures",),
            action="store_true",
            help="Accepted as in Airflow 2; a failed run never keeps the others from running",
        ),
        ARG_VERBOSE,
    )
