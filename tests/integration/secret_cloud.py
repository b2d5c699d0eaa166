"""Stand-ins for Google Cloud whose key, token and signatures a test looks for in whatever a run leaves."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from stand_ins.bigquery import StandIn, service_account_key
from stand_ins.cloud_storage import CloudStorage
from taxiway.sources.months import Month
from tests.cloud_loading import SETTINGS, Cloud
from tests.integration.gcp_airflow import gcp_variables, google_connection, stand_ins
from tests.integration.secret_dags.secret_gcp_months import CLOUD_CASES


@dataclass(frozen=True)
class SecretCloud:
    """What stands in for Google Cloud, and the keys to it.

    :param variables: the environment that leads Airflow's processes there
    :param connections: to it, as a person enters them in the web UI
    """

    bigquery: StandIn
    cloud: Cloud
    variables: dict[str, str]
    connections: list[dict[str, Any]]

    @classmethod
    @contextlib.contextmanager
    def prepared(
        cls, bigquery: StandIn, storage: CloudStorage, token: str, months: Sequence[Month]
    ) -> Iterator[SecretCloud]:
        """Empty the stand-ins; everything succeeds there but what is asked about the month of ``cloud_refused``.

        :param token: what whoever signs is given
        :param months: of :data:`CLOUD_CASES`, in their order
        """
        bigquery.reset()
        storage.reset()
        bigquery.access_token = token
        bigquery.assertions.clear()
        refused = months[list(CLOUD_CASES).index("cloud_refused")]
        label = f'"taxiway_month": "{refused}"'
        bigquery.faults.fail_next_job("accessDenied", at_insert=True, containing=label, times=10)
        key = service_account_key(bigquery.url, SETTINGS.project)
        kept = key["private_key"].splitlines()
        broken = {**key, "private_key": "\n".join([*kept[:10], *kept[12:]])}
        keys = {
            "cloud_without_a_token": {**key, "token_uri": f"{key['token_uri']}/refused"},
            "cloud_with_a_broken_key": broken,
        }
        connections = [
            {"connection_id": name, **json.loads(google_connection(keyfile_dict=json.dumps(each)))}
            for name, each in keys.items()
        ]
        for connection in connections:
            connection["extra"] = json.dumps(connection["extra"])
        variables = {**stand_ins(bigquery, storage), **gcp_variables(SETTINGS)}
        try:
            with pytest.MonkeyPatch.context() as patch:
                # The stand-in for BigQuery reads files from the bucket, in this process.
                for name in ("BIGQUERY_EMULATOR_HOST", "STORAGE_EMULATOR_HOST"):
                    patch.setenv(name, variables[name])
                yield cls(bigquery, Cloud.connect().set_up(), variables, connections)
        finally:
            bigquery.access_token = "stand-in"
            bigquery.reset()
            storage.reset()

    def secrets(self) -> dict[str, str]:
        """Parts of the key and of what was signed with it that no encoding of addresses or JSON changes."""
        key = service_account_key(self.bigquery.url, SETTINGS.project)["private_key"].splitlines()
        words = sorted(map(longest_word, key[2:-2]), key=len)[-3:]
        found = {f"key {word[:3]}": word for word in words}
        signatures = dict.fromkeys(each.rpartition(".")[2] for each in self.bigquery.assertions)
        return {**found, **{f"signature {n}": longest_word(each) for n, each in enumerate(signatures)}}

    def ledger(self) -> list[str]:
        """The ledger's rows, as text."""
        return list(map(repr, self.cloud.query("SELECT load_id, run_id, state, url, error FROM `$taxi.load_events`")))


def longest_word(text: str) -> str:
    return max(re.findall(r"[A-Za-z0-9]+", text), key=len)
