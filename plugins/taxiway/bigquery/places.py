"""Creates what a load needs once: the bucket and the dataset. Both stay as they are where they exist."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from taxiway.bigquery.errors import explains
from taxiway.bigquery.settings import GcpSettings
from taxiway.bigquery.tables import STAGING_FOLDER
from taxiway.core.errors import SettingError

if TYPE_CHECKING:
    from google.cloud import bigquery, storage

REQUEST_SECONDS = 60.0
"""Longest wait for one answer."""


@dataclass(frozen=True)
class Places:
    """Where a project keeps its taxi months.

    :param settings: their names
    :param where: the task, for messages
    """

    settings: GcpSettings
    where: str

    @explains
    def ensure_bucket(self, client: storage.Client) -> bool:
        """Create the bucket where it is absent: in one region, closed to the public, with a lifecycle rule.

        :return: whether it was created
        :raises SettingError: the name belongs to someone else, or the bucket is somewhere else
        """
        from google.api_core.exceptions import Conflict, Forbidden, NotFound

        name = self.settings.bucket
        try:
            found = client.get_bucket(name, timeout=REQUEST_SECONDS)
        except NotFound:
            found = None
        except Forbidden as error:
            raise self._taken(f"it is there, and the account may not look at it ({error.message})") from error
        if found is not None:
            self._require_location(f"the bucket {name}", "GCP_BUCKET_NAME", str(found.location))
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
            raise self._taken(f"it can't be created ({error.message})") from error
        return True

    @explains
    def ensure_dataset(self, client: bigquery.Client) -> bool:
        """Create the dataset where it is absent.

        :return: whether it was created
        :raises SettingError: it is in another location
        """
        from google.api_core.exceptions import NotFound
        from google.cloud.bigquery import Dataset

        name = self.settings.dataset_name
        try:
            found = client.get_dataset(name, timeout=REQUEST_SECONDS)
        except NotFound:
            dataset = Dataset(name)
            dataset.location = self.settings.location
            dataset.description = "Taxiway: New York taxi months, and the ledger of their loads"
            client.create_dataset(dataset, exists_ok=True, timeout=REQUEST_SECONDS)
            return True
        self._require_location(f"the dataset {name}", "GCP_DATASET", str(found.location))
        return False

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
