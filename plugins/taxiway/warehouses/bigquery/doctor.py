"""What ``airflow taxi doctor`` looks at in Google Cloud. Nothing is changed or billed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from taxiway.doctor.check import Finding, fail, ok, warn
from taxiway.messages import listed
from taxiway.settings import format_size
from taxiway.warehouses.bigquery.errors import explains
from taxiway.warehouses.bigquery.provisioning import REQUEST_SECONDS, Provisioner, missing_rule
from taxiway.warehouses.bigquery.settings import GcpSettings

if TYPE_CHECKING:
    from google.cloud import bigquery, storage

OF_BUCKET = {
    "Storage Object User": (
        "storage.objects.create",
        "storage.objects.get",
        "storage.objects.list",
        "storage.objects.delete",
        "storage.objects.update",
    ),
    "Storage Legacy Bucket Reader": ("storage.buckets.get",),
}
"""What a load needs on the bucket, by the role that gives it."""

OF_TABLES = {
    "BigQuery Data Editor": (
        "bigquery.tables.get",
        "bigquery.tables.getData",
        "bigquery.tables.update",
        "bigquery.tables.updateData",
    )
}
"""What it needs on the tables of the dataset."""


@dataclass(frozen=True)
class Project:
    """The project, over Airflow's connection.

    :param settings: the Variables, checked
    :param bigquery: makes Google's client of BigQuery
    :param storage: makes Google's client of Cloud Storage
    :param set_up: the command that creates what is absent
    """

    settings: GcpSettings
    bigquery: Callable[[], bigquery.Client]
    storage: Callable[[], storage.Client]
    set_up: str
    where: str = "doctor"

    @explains
    def ask(self, look: Callable[[Project], Finding]) -> Finding:
        """Make one of the checks.

        :param look: one of :data:`CHECKS`
        :raises SettingError: the connection or what it leads to isn't what it should be
        :raises WarehouseError: Google Cloud refuses
        :raises TransientWarehouseError: it doesn't answer now
        """
        return look(self)


def limits(project: Project) -> Finding:
    """Are the Variables right, and how much may a query cost?"""
    settings = project.settings
    return ok(
        f"{settings.dataset_name} and gs://{settings.bucket} in {settings.location}; a query may bill "
        f"{format_size(settings.maximum_bytes_billed)}"
    )


def bucket(project: Project) -> Finding:
    """Is the bucket there, ours and in its place?"""
    found = Provisioner(project.settings, project.where).find_bucket(project.storage())
    if found is None:
        return fail(f"gs://{project.settings.bucket} isn't there", project.set_up)
    if rule := missing_rule(found):
        what, _, mend = rule.partition(". To add it to the bucket's rules: ")
        return warn(what, mend)
    return ok(f"gs://{project.settings.bucket} is in {found.location}")


def dataset(project: Project) -> Finding:
    """Is the dataset there, in its place, and does it keep its tables? Does it have the ledger?"""
    from google.api_core.exceptions import NotFound

    client = project.bigquery()
    found = Provisioner(project.settings, project.where).find_dataset(client)
    if found is None:
        return fail(f"the dataset {project.settings.dataset_name} isn't there", project.set_up)
    try:
        client.get_table(f"{project.settings.dataset_name}.load_events", timeout=REQUEST_SECONDS)
    except NotFound:
        return fail(f"the dataset {project.settings.dataset_name} has no ledger", project.set_up)
    return ok(f"{project.settings.dataset_name} is in {found.location}, with the ledger")


def roles(project: Project) -> Finding:
    """May the account do what a load does?"""
    table = f"{project.settings.dataset_name}.load_events"
    on_bucket = {name for names in OF_BUCKET.values() for name in names}
    on_tables = [name for names in OF_TABLES.values() for name in names]
    may = {*project.storage().bucket(project.settings.bucket).test_iam_permissions(sorted(on_bucket))}
    client = project.bigquery()
    may |= {*client.test_iam_permissions(table, on_tables, timeout=REQUEST_SECONDS).get("permissions", ())}
    lacking = {role: [name for name in names if name not in may] for role, names in {**OF_BUCKET, **OF_TABLES}.items()}
    if not _may_run_jobs(client):
        lacking["BigQuery Job User"] = ["bigquery.jobs.create"]
    missing = [name for names in lacking.values() for name in names]
    if not missing:
        return ok("the account may do what a load does")
    return fail(
        f"the account may not {listed(missing)}",
        f"give it {listed([role for role, names in lacking.items() if names])}: docs/bigquery.md has the commands",
    )


def _may_run_jobs(client: bigquery.Client) -> bool:
    from google.api_core.exceptions import Forbidden
    from google.cloud.bigquery import QueryJobConfig

    try:
        client.query("SELECT 1", job_config=QueryJobConfig(dry_run=True), timeout=REQUEST_SECONDS)
    except Forbidden:
        return False
    return True


CHECKS: Mapping[str, Callable[[Project], Finding]] = {
    "settings": limits,
    "bucket": bucket,
    "dataset": dataset,
    "roles": roles,
}
"""All of them, by the names of their lines. Without the first, the others can't look."""
