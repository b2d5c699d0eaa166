"""Creates what a load needs once: the bucket and the dataset. What exists already stays as it is."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from taxiway.errors import SettingError, TransientWarehouseError
from taxiway.warehouses.bigquery.errors import explains
from taxiway.warehouses.bigquery.settings import GcpSettings
from taxiway.warehouses.bigquery.tables import STAGING_FOLDER

if TYPE_CHECKING:
    from google.cloud import bigquery, storage

REQUEST_SECONDS = 60.0
"""Longest wait for one answer."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Provisioner:
    """Creates the bucket and the dataset of a project.

    :param settings: their names
    :param where: the task, for messages
    """

    settings: GcpSettings
    where: str

    @explains
    def ensure_bucket(self, client: storage.Client) -> bool:
        """Create the bucket if it is absent: in one region, closed to the public, with a lifecycle rule.

        :return: whether it was created
        :raises SettingError: the name belongs to someone else, or the bucket is somewhere else
        """
        from google.api_core.exceptions import Conflict

        name = self.settings.bucket
        if found := self.find_bucket(client):
            if rule := missing_rule(found):
                _log.warning("%s", rule)
            return False
        bucket = client.bucket(name)
        bucket.iam_configuration.uniform_bucket_level_access_enabled = True
        bucket.iam_configuration.public_access_prevention = "enforced"
        bucket.storage_class = "STANDARD"
        bucket.add_lifecycle_abort_incomplete_multipart_upload_rule(age=1)
        bucket.add_lifecycle_delete_rule(age=1, matches_prefix=[f"{STAGING_FOLDER}/"])
        try:
            client.create_bucket(
                bucket, project=self.settings.project, location=self.settings.location, timeout=REQUEST_SECONDS
            )
        except Conflict as error:
            # Somebody was quicker: another account, another run, or this one, whose first answer was lost.
            if not self.find_bucket(client):
                raise TransientWarehouseError(
                    f"{self.where}: the bucket {name} can't be created ({error.message}), but isn't there either; "
                    f"expected one or the other. The task is tried again"
                ) from error
            return False
        return True

    @explains
    def find_bucket(self, client: storage.Client) -> storage.Bucket | None:
        """Return the bucket; None if it isn't there.

        :raises SettingError: the name belongs to someone else, or the bucket is somewhere else
        """
        from google.api_core.exceptions import Forbidden, NotFound

        name = self.settings.bucket
        try:
            found = client.get_bucket(name, timeout=REQUEST_SECONDS)
        except NotFound:
            return None
        except Forbidden as error:
            raise self._taken(f"it is there, and the account may not look at it ({error.message})") from error
        self._require_location(f"the bucket {name}", "GCP_BUCKET_NAME", str(found.location))
        return found

    @explains
    def ensure_dataset(self, client: bigquery.Client) -> bool:
        """Create the dataset if it is absent.

        :return: whether it was created
        :raises SettingError: it is in another location, or deletes its tables after a time
        """
        from google.cloud.bigquery import Dataset

        if self.find_dataset(client):
            return False
        dataset = Dataset(self.settings.dataset_name)
        dataset.location = self.settings.location
        dataset.description = "Taxiway: New York taxi months, and the ledger of their loads"
        # A project without a billing account gives new datasets an expiration.
        self._require_permanence(client.create_dataset(dataset, exists_ok=True, timeout=REQUEST_SECONDS))
        return True

    @explains
    def find_dataset(self, client: bigquery.Client) -> bigquery.Dataset | None:
        """Return the dataset; None if it isn't there.

        :raises SettingError: it is in another location, or deletes its tables after a time
        """
        from google.api_core.exceptions import NotFound

        name = self.settings.dataset_name
        try:
            found = client.get_dataset(name, timeout=REQUEST_SECONDS)
        except NotFound:
            return None
        self._require_location(f"the dataset {name}", "GCP_DATASET", str(found.location))
        self._require_permanence(found)
        return found

    def _require_permanence(self, dataset: bigquery.Dataset) -> None:
        """Make sure that BigQuery doesn't drop what is loaded after a time."""
        limits = {
            "default_table_expiration": dataset.default_table_expiration_ms,
            "default_partition_expiration": dataset.default_partition_expiration_ms,
        }
        days = {limit: int(value) / 86_400_000 for limit, value in limits.items() if value}
        if not days:
            return
        found = " and ".join(f"a {limit} of {number:g} days" for limit, number in days.items())
        command = " ".join(["bq update", *(f"--{limit}=0" for limit in days)])
        raise SettingError(
            f"{self.where}: the dataset {self.settings.dataset_name} has {found}: BigQuery drops its tables after that "
            f"time, and months that long after their own date, most of them at once. Expected none: {command} "
            f"{self.settings.project}:{self.settings.dataset}, or set GCP_DATASET to a dataset of Taxiway's own. (A "
            f"project without a billing account can't be without such a limit: link one first)"
        )

    def _require_location(self, what: str, variable: str, location: str) -> None:
        if location.lower() != self.settings.location.lower():
            raise SettingError(
                f"{self.where}: {what} is in {location}, expected {self.settings.location}, the Variable GCP_LOCATION: "
                f"bucket and dataset must lie together, and neither can be moved. Set GCP_LOCATION to {location} with "
                f"both there, or {variable} to another name"
            )

    def _taken(self, found: str) -> SettingError:
        name = self.settings.bucket
        return SettingError(
            f"{self.where}: the bucket's name {name} belongs to someone else: {found}. All of Cloud Storage shares one "
            f"space of names: set the Variable GCP_BUCKET_NAME to one that is free, for example "
            f"{self.settings.project}-taxiway. If it is yours, give the account of the connection taxi_gcp the role "
            f"Storage Admin on the bucket"
        )


def missing_rule(bucket: storage.Bucket) -> str:
    """Say that a bucket lacks the rule that empties the folder of what runs leave behind; empty if it has it.

    :return: what is missing, and the command that adds it
    """
    rules = [dict(rule) for rule in bucket.lifecycle_rules]
    if any(f"{STAGING_FOLDER}/" in (rule.get("condition") or {}).get("matchesPrefix", ()) for rule in rules):
        return ""
    rule = {"action": {"type": "Delete"}, "condition": {"age": 1, "matchesPrefix": [f"{STAGING_FOLDER}/"]}}
    return (
        f"gs://{bucket.name} has no lifecycle rule that empties {STAGING_FOLDER}/, where a run that is cut off leaves "
        f"its copy of a file with bad lines. To add it to the bucket's rules: "
        f"echo '{json.dumps({'rule': [*rules, rule]})}' > lifecycle.json; "
        f"gcloud storage buckets update gs://{bucket.name} --lifecycle-file=lifecycle.json"
    )
