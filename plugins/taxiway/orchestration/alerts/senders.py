"""Sends messages, by Airflow's own notifiers, and waits for nobody longer than :data:`LONGEST_SEND`.

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
from airflow.sdk.log import mask_secret, redact  # type: ignore[attr-defined]
from requests.utils import requote_uri

from taxiway.messages import printable
from taxiway.orchestration.alerts.alert import Alert
from taxiway.orchestration.alerts.recipients import AnyRecipient, MailRecipient, SlackRecipient

if TYPE_CHECKING:
    from airflow.providers.smtp.hooks.smtp import SmtpHook

LONGEST_SEND = 15.0
"""Seconds in which all messages of a task have to be gone to all who are told."""

LONGEST_ANSWER = 5
"""Seconds in which a server has to answer each time."""

THREAD = "taxiway-alert"
"""Name of the threads that send."""

log = logging.getLogger(__name__)


def send(alerts: Sequence[Alert], recipients: Sequence[AnyRecipient]) -> list[Alert]:
    """Send messages to all who want to be told of such; the log says whom which one didn't reach.

    :return: those that reached nobody, of those that somebody wants
    """
    wanted = [(recipient, [alert for alert in alerts if alert.kind in recipient.about]) for recipient in recipients]
    sent, lost = list[Alert](), list[Alert]()
    for (recipient, messages), errors in zip(wanted, deliver(wanted), strict=True):
        for alert, error in zip(messages, errors, strict=True):
            (lost if error else sent).append(alert)
            what = f"{alert.title}: {recipient.how}"
            if error:
                log.warning("alert not sent: %s: %s. The load goes on without it: docs/alerts.md", what, error)
            else:
                log.info("alert sent: %s", what)
    return [alert for alert in alerts if alert in lost and alert not in sent]


def deliver(wanted: Sequence[tuple[AnyRecipient, Sequence[Alert]]]) -> list[list[str]]:
    """Send messages, to all recipients at once.

    :param wanted: each recipient, with messages in their order
    :return: for each recipient, why each message didn't arrive; an empty text for one that did
    """
    deadline = time.monotonic() + LONGEST_SEND
    threads = [_Sending(recipient, alerts, deadline) for recipient, alerts in wanted]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    ends = [(list(thread.errors), len(thread.alerts)) for thread in threads]
    return [[*errors, *[f"no end after {LONGEST_SEND:.0f} s"] * (count - len(errors))] for errors, count in ends]


class _Sending(threading.Thread):
    """Sends messages to one recipient, one after another; a process that ends doesn't wait for it."""

    def __init__(self, recipient: AnyRecipient, alerts: Sequence[Alert], deadline: float) -> None:
        super().__init__(name=THREAD, daemon=True)
        self.recipient = recipient
        self.alerts = alerts
        self.deadline = deadline
        self.errors: list[str] = []

    def run(self) -> None:
        for alert in self.alerts:
            # What is told later must not be sent now.
            if time.monotonic() < self.deadline:
                self.errors.append(self._send(alert))

    def _send(self, alert: Alert) -> str:
        """Send a message; return why it didn't arrive, or an empty text."""
        try:
            notifier_of(alert, self.recipient).notify({})
        except Exception as error:
            said = str(redact(f"{type(error).__name__}: {error}"))
            with suppress(Exception):
                # A library quotes the address, which is the secret of an incoming webhook.
                said = said.replace(Connection.get(self.recipient.connection).password or "\0", "***")
            return printable(said, 500)
        return ""


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

    notifier = HttpNotifier(
        http_conn_id=recipient.connection,
        endpoint=recipient.path,
        json=dict(alert.json),
        extra_options={"timeout": LONGEST_ANSWER},
    )
    _hide_path(notifier.hook.url_from_endpoint(recipient.path))
    return notifier


def _hide_path(url: str) -> None:
    """Keep the path of an address out of logs: it may be all that protects a webhook, and libraries quote it."""
    for written in (url, requote_uri(url)):
        _, slash, path = written.partition("://")[2].partition("/")
        for secret in (path, path.partition("?")[0]):
            if secret:
                mask_secret(slash + secret)


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
