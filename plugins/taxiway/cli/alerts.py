"""``airflow taxi alerts``: who is told what, and a test message to each of them."""

from __future__ import annotations

from argparse import Namespace

from taxiway.cli.output import FINDINGS, FINE, SENTENCE, command, say, show
from taxiway.orchestration.alerts.alert import TEST, Alert
from taxiway.orchestration.alerts.links import board_url
from taxiway.orchestration.alerts.recipients import VARIABLE, AnyRecipient, recipients
from taxiway.orchestration.alerts.senders import deliver
from taxiway.orchestration.warehouses import dag_id_of
from taxiway.paths import SOURCES_FOLDER
from taxiway.program import airflow_command
from taxiway.sources.source import read_sources


@command
def alerts(arguments: Namespace) -> int:
    """Run the command.

    :return: the exit code
    :raises SettingError: the Variable can't be used
    :raises SourceConfigError: a test message has no source to be about
    """
    told = recipients()
    if not told:
        say(f"nobody is told: the Variable {VARIABLE} isn't set. docs/alerts.md explains it")
        return FINDINGS if arguments.test else FINE
    errors = None
    if arguments.test:
        message = _test_message(arguments.warehouse)
        errors = [error for (error,) in deliver([(recipient, [message]) for recipient in told])]
    show(
        [
            {
                "by": recipient.by,
                "connection": recipient.connection,
                "to": _whom(recipient),
                "about": ", ".join(recipient.about),
                "test": None if errors is None else "not sent" if errors[number] else "sent",
                SENTENCE: f"not sent {recipient.how}: {errors[number]}. Correct the connection "
                f"{recipient.connection}: docs/alerts.md"
                if errors and errors[number]
                else "",
            }
            for number, recipient in enumerate(told)
        ],
        arguments.output,
    )
    return FINDINGS if any(errors or ()) else FINE


def _whom(recipient: AnyRecipient) -> str | None:
    if recipient.by == "mail":
        return ", ".join(recipient.to)
    return recipient.path or None if recipient.by == "webhook" else None


def _test_message(warehouse: str) -> Alert:
    """Return a message as others are: about a month, with links that work.

    :raises SourceConfigError: no source can be used
    """
    sources, errors = read_sources(SOURCES_FOLDER)
    if not sources:
        raise errors[0]
    source = sources[0]
    return Alert(
        TEST,
        warehouse,
        source.name,
        (str(source.first_month),),
        f"Nothing has happened: {airflow_command('taxi', 'alerts', '--test')} has sent this to try the settings",
        dag_id=dag_id_of(warehouse, source.name),
        board=board_url(warehouse, source.name),
    )
