"""Sends a message, by Airflow's own notifiers, and waits for nobody longer than :data:`LONGEST_SEND`.

A notifier renders its fields as templates. Here it is asked to notify without that: a reason may quote a file.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseNotifier, Connection

from taxiway.messages import printable
from taxiway.orchestration.alerts.alert import Alert
from taxiway.orchestration.alerts.recipients import AnyRecipient, MailRecipient, SlackRecipient

if TYPE_CHECKING:
    from airflow.providers.smtp.hooks.smtp import SmtpHook

LONGEST_SEND = 15.0
"""Seconds in which a message has to be gone to all who are told."""

LONGEST_ANSWER = 5
"""Seconds in which a server has to answer each time."""

log = logging.getLogger(__name__)


def send(alert: Alert, recipients: Sequence[AnyRecipient]) -> bool:
    """Send a message to all who want to be told of such; the log says whom it didn't reach.

    :return: whether it reached somebody, or nobody wants it
    """
    wanted = [recipient for recipient in recipients if alert.kind in recipient.about]
    errors = deliver(alert, wanted)
    for recipient, error in zip(wanted, errors, strict=True):
        what = f"{alert.title}: {recipient.how}"
        if error:
            log.warning("alert not sent: %s: %s. The load goes on without it: docs/alerts.md", what, error)
        else:
            log.info("alert sent: %s", what)
    return not errors or "" in errors


def deliver(alert: Alert, recipients: Sequence[AnyRecipient]) -> list[str]:
    """Send a message to all of these, at once.

    :return: why it didn't reach each of them; empty for one whom it did
    """
    threads = [_Sending(alert, recipient) for recipient in recipients]
    deadline = time.monotonic() + LONGEST_SEND
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    return ["" if thread.sent else thread.error or f"no end after {LONGEST_SEND:.0f} s" for thread in threads]


class _Sending(threading.Thread):
    """Sends one message; a process that ends doesn't wait for it."""

    def __init__(self, alert: Alert, recipient: AnyRecipient) -> None:
        super().__init__(daemon=True)
        self.alert = alert
        self.recipient = recipient
        self.sent = False
        self.error = ""

    def run(self) -> None:
        try:
            notifier_of(self.alert, self.recipient).notify({})
            self.sent = True
        except Exception as error:
            said = f"{type(error).__name__}: {error}"
            with suppress(Exception):
                # A library quotes the address, which is the secret of an incoming webhook.
                said = said.replace(Connection.get(self.recipient.connection).password or "\0", "***")
            self.error = printable(said, 500)


def notifier_of(alert: Alert, recipient: AnyRecipient) -> BaseNotifier:
    """Return what sends a message to somebody.

    :param alert: the message
    :param recipient: who is told
    """
    # Imported here: tasks that send nothing don't need them.
    if isinstance(recipient, MailRecipient):
        return _mail(alert, recipient)
    if isinstance(recipient, SlackRecipient):
        from airflow.providers.slack.notifications.slack_webhook import SlackWebhookNotifier

        text = alert.text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        return SlackWebhookNotifier(
            slack_webhook_conn_id=recipient.connection, text=text, unfurl_links=False, timeout=LONGEST_ANSWER
        )
    from airflow.providers.http.notifications import HttpNotifier

    return HttpNotifier(
        http_conn_id=recipient.connection,
        endpoint=recipient.path,
        json=dict(alert.json),
        extra_options={"timeout": LONGEST_ANSWER},
    )


def _mail(alert: Alert, recipient: MailRecipient) -> BaseNotifier:
    from airflow.providers.smtp.hooks.smtp import SmtpHook
    from airflow.providers.smtp.notifications.smtp import SmtpNotifier

    class PromptHook(SmtpHook):
        """A mail server is asked once, and not waited for as long as a connection's defaults say."""

        smtp_retry_limit: Any = 0

        @property
        def timeout(self) -> int:
            return min(super().timeout, LONGEST_ANSWER)

    class PromptNotifier(SmtpNotifier):
        """Sends by such a hook."""

        @cached_property
        def hook(self) -> SmtpHook:
            return PromptHook(smtp_conn_id=self.smtp_conn_id, auth_type=self.auth_type)

    return PromptNotifier(
        smtp_conn_id=recipient.connection, to=list(recipient.to), subject=alert.title, html_content=alert.html
    )
