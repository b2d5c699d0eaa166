"""Who is told what: the Variable ``taxiway_alerts``, checked."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from airflow.sdk import Variable
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, field_validator

from taxiway.messages import one_line
from taxiway.orchestration import json_variable
from taxiway.orchestration.alerts.alert import KINDS, Kind

VARIABLE = "taxiway_alerts"

_ADDRESS = re.compile(r"[^@\s,;<>\"]+@[^@\s,;<>\"]+")


class Recipient(BaseModel):
    """Somebody who is told.

    :param about: of which kinds; all unless given
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    about: Annotated[list[Kind], Field(min_length=1)] = list(KINDS)

    by: str
    connection: str

    @property
    def how(self) -> str:
        """Which way a message takes."""
        return f"by {self.by} over {self.connection}"


class MailRecipient(Recipient):
    """People with a mailbox; the sender's address is ``from_email`` in the connection's extra.

    :param to: their addresses
    """

    by: Literal["mail"]
    to: Annotated[list[str], Field(min_length=1)]
    connection: str = "taxi_smtp"

    @field_validator("to")
    @classmethod
    def _addresses(cls, to: list[str]) -> list[str]:
        for address in to:
            if not _ADDRESS.fullmatch(address):
                raise ValueError(f"{one_line(address)!r} is no address such as ann@example.com")
        return to


class SlackRecipient(Recipient):
    """A channel of Slack, by the incoming webhook of the connection."""

    by: Literal["slack"]
    connection: str = "taxi_slack"


class WebhookRecipient(Recipient):
    """A program that takes JSON by POST.

    :param path: below the connection's address
    """

    by: Literal["webhook"]
    connection: str = "taxi_webhook"
    path: str = ""


AnyRecipient = Annotated[MailRecipient | SlackRecipient | WebhookRecipient, Field(discriminator="by")]

_RECIPIENTS: TypeAdapter[list[AnyRecipient]] = TypeAdapter(list[AnyRecipient])


def parse(text: str) -> list[AnyRecipient]:
    """Read the Variable.

    :param text: JSON
    :raises SettingError: says what is wrong, and where
    """
    example = '[{"by": "mail", "to": ["ann@example.com"], "about": ["failed", "recovered"]}]'
    expected = f"a list such as {example}. docs/alerts.md explains it"
    return json_variable.parse(text, _RECIPIENTS, f"{VARIABLE} can't be used, and nobody is told", expected)


def recipients() -> list[AnyRecipient]:
    """Return who is told, as the Variable says; nobody if there is none.

    :raises SettingError: it can't be used
    """
    text = Variable.get(VARIABLE, default=None)
    return parse(text) if text and text.strip() else []
