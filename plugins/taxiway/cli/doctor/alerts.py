"""The check of who is told if a month fails. No message is sent: ``airflow taxi alerts --test`` does that."""

from __future__ import annotations

from airflow.sdk import Connection
from airflow.sdk.exceptions import AirflowNotFoundException

from taxiway.cli.doctor.dag_files import METADATA
from taxiway.doctor.check import Check, Finding, fail, ok
from taxiway.orchestration.alerts.recipients import VARIABLE, recipients
from taxiway.orchestration.hooks.connection_variable import require_readable, require_type
from taxiway.program import airflow_command

TYPES = {"mail": "smtp", "slack": "slackwebhook", "webhook": "http"}
"""Types of the connections, by the way that a message takes."""


def alerts() -> Finding:
    """Can the Variable be used, and are its connections there?"""
    told = recipients()
    if not told:
        return ok(f"nobody is told: {VARIABLE} isn't set")
    for recipient in told:
        conn_id, conn_type = recipient.connection, TYPES[recipient.by]
        require_readable(conn_id)
        try:
            require_type(Connection.get(conn_id), conn_type, add="--conn-host HOST")
        except AirflowNotFoundException:
            add = "connections", "add", conn_id, "--conn-type", conn_type, "--conn-host", "HOST"
            return fail(f"{recipient.how}: there is no such connection", f"{airflow_command(*add)}: docs/alerts.md")
    test = airflow_command("taxi", "alerts", "--test")
    return ok(f"{', '.join(dict.fromkeys(recipient.how for recipient in told))}; to try them: {test}")


CHECKS = (Check("alerts", alerts, f"correct the Variable {VARIABLE}: docs/alerts.md", needs=METADATA),)
"""All of them."""
