"""The endpoints of the v2 API that are known here; every other one is refused."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from stand_ins.bigquery.catalog import Catalog
from stand_ins.bigquery.errors import BigQueryError, RefusedError, check_fields
from stand_ins.bigquery.faults import Faults
from stand_ins.bigquery.jobs import Job, Jobs
from stand_ins.bigquery.loads import check_external
from stand_ins.bigquery.tables import TableName
from stand_ins.bigquery.values import encode

# Parameters that ask for less, or for another layout, of what is answered anyway.
_HARMLESS = {
    "prettyPrint",
    "alt",
    "fields",
    "projection",
    "quotaUser",
    "key",
    "view",
    "formatOptions.timestampOutputFormat",
}
_PROJECT = r"/bigquery/v2/projects/(?P<project>[^/]+)"
_DATASET = rf"{_PROJECT}/datasets/(?P<dataset>[^/]+)"
_TABLE = rf"{_DATASET}/tables/(?P<table>[^/]+)"
_ANONYMOUS = "_anonymous"


@dataclass(frozen=True)
class Request:
    """A request, with its path decoded."""

    method: str
    path: str
    query: dict[str, str]
    body: dict[str, Any]
    if_match: str | None = None


class Api:
    """Answers requests from the catalog and the jobs."""

    def __init__(self, catalog: Catalog, jobs: Jobs, faults: Faults) -> None:
        self._catalog = catalog
        self._faults = faults
        self._jobs = jobs
        self._routes: list[tuple[str, str, set[str], Callable[..., dict[str, Any] | None]]] = [
            ("GET", rf"{_PROJECT}/datasets", {"maxResults", "pageToken", "all"}, self._list_datasets),
            ("POST", rf"{_PROJECT}/datasets", set(), self._insert_dataset),
            ("GET", _DATASET, set(), self._get_dataset),
            ("PATCH", _DATASET, set(), self._patch_dataset),
            ("DELETE", _DATASET, {"deleteContents"}, self._delete_dataset),
            ("GET", rf"{_DATASET}/tables", {"maxResults", "pageToken"}, self._list_tables),
            ("POST", rf"{_DATASET}/tables", set(), self._insert_table),
            ("GET", _TABLE, {"selectedFields"}, self._get_table),
            ("PATCH", _TABLE, set(), self._patch_table),
            ("DELETE", _TABLE, set(), self._delete_table),
            ("POST", rf"{_TABLE}:testIamPermissions", set(), self._test_permissions),
            ("GET", rf"{_TABLE}/data", {"maxResults", "pageToken", "startIndex", "formatOptions.useInt64Timestamp"},
             self._table_data),
            ("POST", rf"{_PROJECT}/jobs", set(), self._insert_job),
            ("GET", rf"{_PROJECT}/jobs", {"maxResults", "pageToken", "parentJobId", "stateFilter", "allUsers"},
             self._list_jobs),
            ("GET", rf"{_PROJECT}/jobs/(?P<job>[^/]+)", {"location"}, self._get_job),
            ("POST", rf"{_PROJECT}/jobs/(?P<job>[^/]+)/cancel", {"location"}, self._cancel_job),
            ("POST", rf"{_PROJECT}/queries", set(), self._query),
            ("GET", rf"{_PROJECT}/queries/(?P<job>[^/]+)",
             {"location", "maxResults", "pageToken", "startIndex", "timeoutMs", "formatOptions.useInt64Timestamp"},
             self._query_results),
        ]  # fmt: skip

    def answer(self, request: Request) -> dict[str, Any] | None:
        """The body of an answer; None if it has none.

        :raises BigQueryError: for everything else than success
        """
        for method, pattern, known, handle in self._routes:
            found = re.fullmatch(pattern, request.path)
            if found and method == request.method:
                check_fields(dict(request.query), known | _HARMLESS, "the query string")
                return handle(request, **found.groupdict())
        raise RefusedError(f"{request.method} {request.path}")

    # Datasets and tables

    def _list_datasets(self, _: Request, project: str) -> dict[str, Any]:
        found = [resource for (owner, _name), resource in self._catalog.datasets.items() if owner == project]
        return {"kind": "bigquery#datasetList", "datasets": found}

    def _insert_dataset(self, request: Request, project: str) -> dict[str, Any]:
        return self._catalog.insert_dataset(project, request.body)

    def _get_dataset(self, _: Request, project: str, dataset: str) -> dict[str, Any]:
        return self._catalog.dataset(project, dataset)

    def _patch_dataset(self, request: Request, project: str, dataset: str) -> dict[str, Any]:
        return self._catalog.patch_dataset(project, dataset, request.body)

    def _delete_dataset(self, request: Request, project: str, dataset: str) -> None:
        with_tables = request.query.get("deleteContents", "false") == "true"
        self._catalog.delete_dataset(project, dataset, with_tables=with_tables)

    def _list_tables(self, _: Request, project: str, dataset: str) -> dict[str, Any]:
        with self._catalog.lock:
            tables = self._catalog.tables_of(project, dataset)
        names = ("kind", "id", "tableReference", "type", "labels", "timePartitioning", "clustering", "creationTime",
                 "expirationTime")  # fmt: skip
        listed = [{name: each.resource[name] for name in names if name in each.resource} for each in tables]
        return {"kind": "bigquery#tableList", "tables": listed, "totalItems": len(listed)}

    def _insert_table(self, request: Request, project: str, dataset: str) -> dict[str, Any]:
        reference = {**request.body["tableReference"], "projectId": project, "datasetId": dataset}
        resource = {**request.body, "tableReference": reference}
        external = resource.get("externalDataConfiguration")
        if external is not None:
            check_external(external)
            resource = {**resource, "type": "EXTERNAL", "schema": resource.get("schema") or external.get("schema")}
        with self._catalog.lock:
            return self._catalog.show(self._catalog.create(resource))

    def _get_table(self, _: Request, project: str, dataset: str, table: str) -> dict[str, Any]:
        with self._catalog.lock:
            return self._catalog.show(self._catalog.table(TableName(project, dataset, table)))

    def _test_permissions(self, request: Request, project: str, dataset: str, table: str) -> dict[str, Any]:
        with self._catalog.lock:
            self._catalog.table(TableName(project, dataset, table))
        return {"permissions": [name for name in request.body["permissions"] if name not in self._faults.denied]}

    def _patch_table(self, request: Request, project: str, dataset: str, table: str) -> dict[str, Any]:
        name = TableName(project, dataset, table)
        with self._catalog.lock:
            if request.if_match not in (None, self._catalog.show(self._catalog.table(name))["etag"]):
                raise BigQueryError("conditionNotMet", "Precondition check failed.")
            return self._catalog.show(self._catalog.patch(name, request.body))

    def _delete_table(self, _: Request, project: str, dataset: str, table: str) -> None:
        with self._catalog.lock:
            self._catalog.drop(self._catalog.table(TableName(project, dataset, table)))

    def _table_data(self, request: Request, project: str, dataset: str, table: str) -> dict[str, Any]:
        if dataset == _ANONYMOUS:
            outcome = self._jobs.outcome(project, table)
            columns, rows = outcome.columns, outcome.rows
        else:
            with self._catalog.lock:
                found = self._catalog.table(TableName(project, dataset, table))
                columns = list(found.columns.items())
                rows = self._catalog.execute(f"SELECT * FROM {found.storage} ORDER BY rowid").fetchall()
        return {"kind": "bigquery#tableDataList", **_page(request, columns, rows)}

    # Jobs

    def _insert_job(self, request: Request, project: str) -> dict[str, Any]:
        job = self._jobs.insert(project, request.body)
        return self._shown(self._jobs.wait_a_little(job))

    def _list_jobs(self, request: Request, project: str) -> dict[str, Any]:
        parent = request.query.get("parentJobId")
        found = self._jobs.children(project, parent) if parent else self._jobs.all(project)
        listed = [{**self._shown(job), "state": "DONE" if job.done.is_set() else "RUNNING"} for job in found]
        return {"kind": "bigquery#jobList", "jobs": listed}

    def _get_job(self, request: Request, project: str, job: str) -> dict[str, Any]:
        return self._shown(self._jobs.get(project, job, request.query.get("location")))

    def _cancel_job(self, request: Request, project: str, job: str) -> dict[str, Any]:
        found = self._jobs.get(project, job, request.query.get("location"))
        self._jobs.cancel(found)
        return {"kind": "bigquery#jobCancelResponse", "job": self._shown(found)}

    def _shown(self, job: Job) -> dict[str, Any]:
        resource = job.resource()
        query = resource["configuration"].get("query")
        if query is not None and job.outcome is not None and job.outcome.columns and "destinationTable" not in query:
            anonymous = {"projectId": job.project, "datasetId": _ANONYMOUS, "tableId": job.job_id}
            resource["configuration"] = {
                **resource["configuration"],
                "query": {**query, "destinationTable": anonymous},
            }
        return resource

    def _query(self, request: Request, project: str) -> dict[str, Any]:
        body = dict(request.body)
        known = {
            "query", "useLegacySql", "parameterMode", "queryParameters", "defaultDataset", "maximumBytesBilled",
            "useQueryCache", "labels", "location", "dryRun", "requestId", "timeoutMs", "maxResults", "formatOptions",
            "jobCreationMode", "kind",
        }  # fmt: skip
        check_fields(body, known, "query")
        names = ("query", "useLegacySql", "parameterMode", "queryParameters", "defaultDataset", "maximumBytesBilled",
                 "useQueryCache")  # fmt: skip
        configuration: dict[str, Any] = {"query": {name: body[name] for name in names if body.get(name) is not None}}
        for name in ("labels", "dryRun"):
            if body.get(name):
                configuration[name] = body[name]
        inserted = {"configuration": configuration, "jobReference": {"location": body.get("location")}}
        job = self._jobs.insert(project, inserted)
        job.done.wait(int(body.get("timeoutMs") or 10_000) / 1000)
        formats = body.get("formatOptions") or {}
        flag = str(formats.get("useInt64Timestamp", False)).lower()
        page = {"maxResults": body.get("maxResults"), "formatOptions.useInt64Timestamp": flag}
        query = {name: str(value) for name, value in page.items() if value is not None}
        return {**self._results(job, Request("POST", "", query, {})), "kind": "bigquery#queryResponse"}

    def _query_results(self, request: Request, project: str, job: str) -> dict[str, Any]:
        found = self._jobs.get(project, job, request.query.get("location"))
        found.done.wait(min(int(request.query.get("timeoutMs") or 10_000) / 1000, 60))
        return self._results(found, request)

    def _results(self, job: Job, request: Request) -> dict[str, Any]:
        reference = {"projectId": job.project, "jobId": job.job_id, "location": job.location}
        made: dict[str, Any] = {
            "kind": "bigquery#getQueryResultsResponse",
            "jobReference": reference,
            "jobComplete": True,
        }
        if not job.done.is_set():
            return {**made, "jobComplete": False}
        if job.error_result is not None:
            error = job.error_result
            raise BigQueryError(error["reason"], error["message"], error.get("location"))
        outcome = job.outcome
        if outcome is None:
            raise BigQueryError("invalid", f"Job {job.job_id} is no query")
        if outcome.affected is not None:
            made["numDmlAffectedRows"] = str(outcome.affected)
        made |= {"totalBytesProcessed": str(outcome.bytes_processed), "cacheHit": False}
        return {**made, "schema": outcome.schema(), **_page(request, outcome.columns, outcome.rows)}


def _page(request: Request, columns: list[tuple[str, str]], rows: list[tuple[Any, ...]]) -> dict[str, Any]:
    start = int(request.query.get("pageToken") or request.query.get("startIndex") or 0)
    limit = request.query.get("maxResults")
    end = len(rows) if limit is None else min(len(rows), start + int(limit))
    as_integers = request.query.get("formatOptions.useInt64Timestamp", "false").lower() == "true"
    kinds = [kind for _, kind in columns]
    made: dict[str, Any] = {
        "totalRows": str(len(rows)),
        "rows": [
            {
                "f": [
                    {"v": encode(v, kind, timestamps_as_integers=as_integers)}
                    for v, kind in zip(row, kinds, strict=True)
                ]
            }
            for row in rows[start:end]
        ],
    }
    if end < len(rows):
        made["pageToken"] = str(end)
    return made
