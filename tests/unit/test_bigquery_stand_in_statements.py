"""Statements of the stand-in: definitions, changes, scripts, views, pruning."""

from __future__ import annotations

from typing import Any

import pytest
from google.api_core.exceptions import (
    BadRequest,
    Conflict,
    GoogleAPICallError,
    MethodNotImplemented,
    NotFound,
)
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery as real

from stand_ins.bigquery import StandIn


class Warehouse:
    """The real client, at the stand-in."""

    def __init__(self) -> None:
        self.client = real.Client(project="p-1", credentials=AnonymousCredentials(), location="europe-west1")
        dataset = real.Dataset("p-1.d")
        dataset.location = "europe-west1"
        self.client.create_dataset(dataset)

    def job(self, sql: str, *, dry_run: bool = False, most: int | None = None, **parameters: Any) -> real.QueryJob:
        given = [real.ScalarQueryParameter(name, *value) for name, value in parameters.items()]
        config = real.QueryJobConfig(query_parameters=given, dry_run=dry_run)
        if most is not None:
            config.maximum_bytes_billed = most
        job = self.client.query(sql, job_config=config, job_retry=None)
        if not dry_run:
            job.result(job_retry=None)
        return job

    def rows(self, sql: str, **parameters: Any) -> list[tuple[Any, ...]]:
        return [tuple(row) for row in self.job(sql, **parameters).result()]


@pytest.fixture
def warehouse(bigquery: StandIn) -> Warehouse:
    return Warehouse()


@pytest.fixture
def trips(warehouse: Warehouse) -> Warehouse:
    """A table of two months: January has the ids 1 and 2, February 3."""
    warehouse.job(
        "CREATE TABLE d.trips (id INT64 NOT NULL OPTIONS (description = 'Which one'), m NUMERIC, month DATE)"
        " PARTITION BY DATE_TRUNC(month, MONTH) CLUSTER BY id OPTIONS (description = 'Trips', labels = [('a', 'b')])"
    )
    warehouse.job("INSERT INTO d.trips VALUES (1, 7.5, '2020-01-01'), (2, NULL, '2020-01-01'), (3, 1, '2020-02-01')")
    return warehouse


def ids(warehouse: Warehouse) -> list[int]:
    return [row[0] for row in warehouse.rows("SELECT id FROM d.trips ORDER BY id")]


def test_a_table_is_as_it_was_defined(trips: Warehouse) -> None:
    table = trips.client.get_table("p-1.d.trips")
    assert [(each.name, each.field_type, each.mode) for each in table.schema] == [
        ("id", "INTEGER", "REQUIRED"),
        ("m", "NUMERIC", "NULLABLE"),
        ("month", "DATE", "NULLABLE"),
    ]
    assert table.schema[0].description == "Which one"
    assert (table.description, table.labels, table.clustering_fields) == ("Trips", {"a": "b"}, ["id"])
    assert (table.time_partitioning.type_, table.time_partitioning.field) == ("MONTH", "month")
    assert (table.num_rows, table.location) == (3, "europe-west1")


def test_creating_again(trips: Warehouse) -> None:
    with pytest.raises(Conflict, match="Already Exists"):
        trips.job("CREATE TABLE d.trips (other INT64)")
    assert trips.job("CREATE TABLE IF NOT EXISTS d.trips (other INT64)").ddl_operation_performed == "SKIP"
    assert ids(trips) == [1, 2, 3]
    made = trips.job("CREATE OR REPLACE TABLE d.trips AS SELECT id, CAST(m AS STRING) AS m FROM d.trips WHERE id = 1")
    assert made.ddl_operation_performed == "REPLACE"
    assert trips.rows("SELECT * FROM d.trips") == [(1, "7.5")]


def test_dropping(trips: Warehouse) -> None:
    assert trips.job("DROP TABLE d.trips").ddl_operation_performed == "DROP"
    assert trips.job("DROP TABLE IF EXISTS d.trips").ddl_operation_performed == "SKIP"
    with pytest.raises(NotFound):
        trips.job("DROP TABLE d.trips")


def test_an_option_expires_a_table(warehouse: Warehouse) -> None:
    in_an_hour = "TIMESTAMP_ADD(CURRENT_TIMESTAMP(), INTERVAL 1 HOUR)"
    warehouse.job(f"CREATE TABLE d.t (a INT64) OPTIONS (expiration_timestamp = {in_an_hour})")
    assert warehouse.client.get_table("p-1.d.t").expires is not None
    with pytest.raises(BadRequest, match="in the past"):
        warehouse.job("CREATE TABLE d.u (a INT64) OPTIONS (expiration_timestamp = TIMESTAMP '2020-01-01 00:00:00 UTC')")


def test_altering_options(trips: Warehouse) -> None:
    trips.job("ALTER TABLE d.trips SET OPTIONS (description = 'Other')")
    assert trips.client.get_table("p-1.d.trips").description == "Other"
    assert ids(trips) == [1, 2, 3]


def test_adding_columns(trips: Warehouse) -> None:
    added = trips.job("ALTER TABLE d.trips ADD COLUMN IF NOT EXISTS m NUMERIC, ADD COLUMN IF NOT EXISTS b INT64")
    assert added.ddl_operation_performed == "ALTER"
    assert [each.name for each in trips.client.get_table("p-1.d.trips").schema] == ["id", "m", "month", "b"]
    trips.job("INSERT INTO d.trips (id, b) VALUES (4, 40)")
    assert trips.rows("SELECT id, b FROM d.trips ORDER BY id") == [(1, None), (2, None), (3, None), (4, 40)]
    assert trips.job("ALTER TABLE d.trips ADD COLUMN IF NOT EXISTS b INT64").ddl_operation_performed == "SKIP"
    with pytest.raises(BadRequest, match="already exists"):
        trips.job("ALTER TABLE d.trips ADD COLUMN b INT64")


def test_dropping_a_column(trips: Warehouse) -> None:
    trips.job("ALTER TABLE d.trips DROP COLUMN m")

    assert [each.name for each in trips.client.get_table("p-1.d.trips").schema] == ["id", "month"]
    assert len(trips.rows("SELECT * FROM d.trips")) == 3
    with pytest.raises(BadRequest, match="Column not found: m"):
        trips.job("ALTER TABLE d.trips DROP COLUMN m")


def test_counts_what_changes(trips: Warehouse) -> None:
    inserted = trips.job("INSERT INTO d.trips (id, month) SELECT 4, DATE '2020-02-01' UNION ALL SELECT 5, '2020-02-01'")
    assert (inserted.num_dml_affected_rows, inserted.dml_stats.inserted_row_count) == (2, 2)
    deleted = trips.job("DELETE FROM d.trips WHERE month = '2020-02-01'")
    assert (deleted.num_dml_affected_rows, deleted.dml_stats.deleted_row_count) == (3, 3)
    updated = trips.job("UPDATE d.trips SET m = m + 1 WHERE id = 1")
    assert (updated.num_dml_affected_rows, updated.dml_stats.updated_row_count) == (1, 1)
    assert trips.rows("SELECT CAST(m AS STRING) FROM d.trips WHERE id = 1") == [("8.5",)]
    trips.job("TRUNCATE TABLE d.trips")
    assert ids(trips) == []


def test_a_required_field_is_required(trips: Warehouse) -> None:
    with pytest.raises(BadRequest, match="Required field id cannot be null"):
        trips.job("INSERT INTO d.trips (month) VALUES ('2020-01-01')")


MERGE = """
MERGE d.trips AS t USING (SELECT * FROM UNNEST([2, 9]) AS id) AS s ON t.month = '2020-01-01' AND t.id = s.id
WHEN NOT MATCHED BY TARGET THEN INSERT (id, month) VALUES (s.id, '2020-01-01')
WHEN NOT MATCHED BY SOURCE AND t.month = '2020-01-01' THEN DELETE
"""


def test_merge_inserts_deletes_and_leaves_alone(trips: Warehouse) -> None:
    stats = trips.job(MERGE).dml_stats
    assert (stats.inserted_row_count, stats.deleted_row_count, stats.updated_row_count) == (1, 1, 0)
    assert ids(trips) == [2, 3, 9]
    assert trips.job(MERGE).num_dml_affected_rows == 0


def test_merge_with_insert_row_and_update(trips: Warehouse) -> None:
    source = "(SELECT 1 AS id, NUMERIC '2' AS m, DATE '2020-01-01' AS month UNION ALL SELECT 8, 3, '2020-03-01')"
    merge = f"MERGE d.trips AS t USING {source} AS s ON t.id = s.id WHEN NOT MATCHED THEN INSERT ROW"
    trips.job(f"{merge} WHEN MATCHED THEN UPDATE SET m = s.m")
    assert [str(m) for (m,) in trips.rows("SELECT m FROM d.trips WHERE id IN (1, 8) ORDER BY id")] == ["2", "3"]


def test_merge_updates_only_what_differs(trips: Warehouse) -> None:
    trips.job("UPDATE d.trips SET m = NULL WHERE id = 2")
    source = "(SELECT id, m FROM d.trips WHERE id <> 1 UNION ALL SELECT 1, NUMERIC '2')"
    merge = f"MERGE d.trips AS t USING {source} AS s ON t.id = s.id WHEN MATCHED AND (t.m IS DISTINCT FROM s.m)"
    updated = trips.job(f"{merge} THEN UPDATE SET m = s.m")
    assert (updated.num_dml_affected_rows, updated.dml_stats.updated_row_count) == (1, 1)
    assert trips.job(f"{merge} THEN UPDATE SET m = s.m").num_dml_affected_rows == 0
    assert [m and str(m) for (m,) in trips.rows("SELECT m FROM d.trips WHERE id < 3 ORDER BY id")] == ["2", None]


def test_merge_refuses_two_source_rows_for_one(trips: Warehouse) -> None:
    merge = "MERGE d.trips AS t USING (SELECT 1 AS id FROM UNNEST([1, 2])) AS s ON t.id = s.id"
    with pytest.raises(BadRequest, match="at most one source row"):
        trips.job(f"{merge} WHEN MATCHED THEN DELETE")
    assert ids(trips) == [1, 2, 3]


def test_a_script_is_whole(trips: Warehouse) -> None:
    script = """
    DECLARE gone, came INT64;
    BEGIN TRANSACTION;
    DELETE FROM d.trips WHERE month = @month;
    SET gone = @@row_count;
    INSERT INTO d.trips (id, month) SELECT 7, @month;
    SET came = @@row_count;
    ASSERT (SELECT COUNT(*) FROM d.trips WHERE month = @month) = came AS 'balance';
    COMMIT TRANSACTION;
    SELECT gone, came;
    """
    job = trips.job(script, month=("DATE", "2020-01-01"))
    assert (job.statement_type, job.num_child_jobs) == ("SCRIPT", 4)
    assert [tuple(row) for row in job.result()] == [(2, 1)]
    children = [child.statement_type for child in trips.client.list_jobs(parent_job=job)]
    assert children == ["DELETE", "INSERT", "ASSERT", "SELECT"]
    assert ids(trips) == [3, 7]


@pytest.mark.parametrize("end", ["SELECT 1", "ROLLBACK TRANSACTION"])
def test_a_transaction_that_is_not_committed_never_was(trips: Warehouse, end: str) -> None:
    trips.job(f"BEGIN TRANSACTION; DELETE FROM d.trips WHERE TRUE; INSERT INTO d.trips (id) VALUES (9); {end}")
    assert ids(trips) == [1, 2, 3]
    assert trips.client.get_table("p-1.d.trips").num_rows == 3


def test_a_script_that_fails_rolls_back(trips: Warehouse) -> None:
    with pytest.raises(BadRequest, match="not balanced"):
        trips.job(
            "BEGIN TRANSACTION; DELETE FROM d.trips WHERE TRUE; ASSERT FALSE AS 'not balanced'; COMMIT TRANSACTION"
        )
    assert ids(trips) == [1, 2, 3]


def test_a_script_has_its_own_tables(trips: Warehouse) -> None:
    script = "CREATE TEMP TABLE one AS SELECT id FROM d.trips WHERE id = 1; SELECT COUNT(*) FROM one"
    assert trips.rows(script) == [(1,)]
    with pytest.raises(BadRequest, match="must be qualified"):
        trips.job("SELECT * FROM one")


def test_views_show_what_their_tables_hold(trips: Warehouse) -> None:
    trips.job("CREATE VIEW d.v OPTIONS (description = 'x') AS SELECT id, m FROM `p-1.d.trips` WHERE m IS NOT NULL")
    trips.job("CREATE OR REPLACE VIEW d.w AS SELECT COUNT(*) AS n FROM d.v")
    assert trips.rows("SELECT n FROM d.w") == [(2,)]
    trips.job("CREATE OR REPLACE TABLE d.trips AS SELECT 5 AS id, NUMERIC '1' AS m")
    assert trips.rows("SELECT * FROM d.v") == [(5, 1)]
    view = trips.client.get_table("p-1.d.v")
    assert view.table_type == "VIEW"
    view.view_query = "SELECT id + 1 AS id, m FROM `p-1.d.trips`"
    trips.client.update_table(view, ["view_query"])
    assert trips.rows("SELECT * FROM d.v") == [(6, 1)]
    with pytest.raises(BadRequest, match="is not supported"):
        trips.job("DELETE FROM d.v WHERE TRUE")
    trips.job("DROP VIEW d.w")


# Of each query: rows that it reads, and bytes of each; id and month have eight.
READS = [
    ("SELECT id FROM d.trips", 3, 8),
    ("SELECT id FROM d.trips WHERE month = '2020-02-01'", 1, 16),
    ("SELECT id FROM d.trips WHERE month = '2020-02-20'", 1, 16),
    ("SELECT id FROM d.trips WHERE month >= @month", 1, 16),
    ("SELECT id FROM d.trips AS t WHERE t.month IN ('2020-02-01', '2020-03-01') AND id > 0", 1, 16),
    ("SELECT id FROM d.trips WHERE month BETWEEN '2020-01-01' AND '2020-01-31'", 2, 16),
    ("SELECT id FROM d.trips WHERE month = '2020-02-01' OR id = 1", 3, 16),
    ("SELECT id FROM d.trips WHERE month = (SELECT MAX(month) FROM UNNEST([DATE '2020-02-01']) AS month)", 3, 16),
]


def test_reads_only_the_partitions_that_a_constant_selects(trips: Warehouse) -> None:
    read = {sql: trips.job(sql, dry_run=True, month=("DATE", "2020-02-01")).total_bytes_processed for sql, *_ in READS}
    assert read == {sql: rows * width for sql, rows, width in READS}


def test_merge_prunes_only_where_every_way_to_the_table_does(trips: Warehouse) -> None:
    # id and month have 8 bytes, m 16 where it isn't NULL: January has 48, all months have 80.
    assert trips.job(MERGE, dry_run=True).total_bytes_processed == 48
    everywhere = MERGE.replace("BY SOURCE AND t.month = '2020-01-01'", "BY SOURCE")
    assert trips.job(everywhere, dry_run=True).total_bytes_processed == 80
    without_on = MERGE.replace("t.month = '2020-01-01' AND t.id", "t.id")
    assert trips.job(without_on, dry_run=True).total_bytes_processed == 80
    assert ids(trips) == [1, 2, 3]


def test_limits_what_is_billed(trips: Warehouse) -> None:
    with pytest.raises(GoogleAPICallError, match="10485760 or higher required") as raised:
        trips.job("DELETE FROM d.trips WHERE month = '2020-01-01'", most=10_000_000)
    assert raised.value.errors[0]["reason"] == "bytesBilledLimitExceeded"
    assert ids(trips) == [1, 2, 3]
    assert trips.job("SELECT id FROM d.trips", most=10_485_760).total_bytes_billed == 10_485_760


def test_a_table_can_require_a_partition_filter(warehouse: Warehouse) -> None:
    warehouse.job("CREATE TABLE d.t (a INT64, day DATE) PARTITION BY day OPTIONS (require_partition_filter = TRUE)")
    with pytest.raises(BadRequest, match="without a filter over column"):
        warehouse.job("SELECT a FROM d.t")
    assert warehouse.rows("SELECT a FROM d.t WHERE day = '2020-01-01'") == []


def test_a_destination_takes_a_result(trips: Warehouse) -> None:
    def keep(disposition: str) -> None:
        config = real.QueryJobConfig(destination="p-1.d.kept", write_disposition=disposition)
        trips.client.query("SELECT id, m FROM d.trips", job_config=config, job_retry=None).result(job_retry=None)

    keep("WRITE_EMPTY")
    with pytest.raises(Conflict):
        keep("WRITE_EMPTY")
    keep("WRITE_APPEND")
    assert trips.client.get_table("p-1.d.kept").num_rows == 6
    keep("WRITE_TRUNCATE")
    assert trips.client.get_table("p-1.d.kept").num_rows == 3


def test_a_dry_run_changes_nothing(trips: Warehouse) -> None:
    for sql in ("DELETE FROM d.trips WHERE TRUE", "DROP TABLE d.trips", "CREATE TABLE d.other AS SELECT 1 AS a", MERGE):
        trips.job(sql, dry_run=True)
    assert ids(trips) == [1, 2, 3]
    with pytest.raises(BadRequest):
        trips.job("SELECT nowhere FROM d.trips", dry_run=True)


REFUSED = [
    "IF TRUE THEN SELECT 1; END IF",
    "BEGIN SELECT 1; EXCEPTION WHEN ERROR THEN SELECT 2; END",
    "EXECUTE IMMEDIATE 'SELECT 1'",
    "CALL d.p()",
    "CREATE SCHEMA other",
    "CREATE MATERIALIZED VIEW d.v AS SELECT 1 AS a",
    "CREATE FUNCTION d.f() AS (1)",
    "CREATE TABLE d.t (a INT64 DEFAULT 1)",
    "CREATE TABLE d.t (a STRUCT<b INT64>)",
    "CREATE TABLE d.t (a NUMERIC(10, 2))",
    "CREATE TABLE d.t (a STRING COLLATE 'und:ci')",
    "CREATE TABLE d.t (a INT64, PRIMARY KEY (a) NOT ENFORCED)",
    "CREATE TABLE d.t (a INT64) OPTIONS (kms_key_name = 'x')",
    "CREATE TABLE d.t (a TIMESTAMP) PARTITION BY TIMESTAMP_TRUNC(a, DAY)",
    "CREATE TABLE d.t (a INT64) PARTITION BY RANGE_BUCKET(a, GENERATE_ARRAY(0, 10, 1))",
    "CREATE TABLE d.t LIKE d.trips",
    "CREATE TABLE d.t CLONE d.trips",
    "CREATE TABLE d.t COPY d.trips",
    "CREATE SNAPSHOT TABLE d.t CLONE d.trips",
    "ALTER TABLE d.trips ADD COLUMN b INT64 DEFAULT 1",
    "ALTER TABLE d.trips DROP COLUMN IF EXISTS m",
    "ALTER TABLE d.trips RENAME TO other",
    "SELECT * FROM d.trips FOR SYSTEM_TIME AS OF CURRENT_TIMESTAMP()",
    "SELECT * FROM d.INFORMATION_SCHEMA.TABLES",
    "SELECT _PARTITIONTIME FROM d.trips",
    "UPDATE d.trips SET m = 1 FROM d.trips AS o WHERE o.id = d.trips.id",
    "EXPORT DATA OPTIONS (uri = 'gs://b/*.csv', format = 'CSV') AS SELECT 1 AS a",
    "GRANT `roles/x` ON TABLE d.trips TO 'user:a@b.c'",
    "CREATE EXTERNAL TABLE d.x (a STRING) OPTIONS (format = 'PARQUET', uris = ['gs://b/o'])",
    "CREATE EXTERNAL TABLE d.x (a STRING) OPTIONS (format = 'CSV', uris = ['gs://b/*'])",
]


def test_refuses_statements_that_it_does_not_know(trips: Warehouse) -> None:
    taken = []
    for sql in REFUSED:
        try:
            trips.job(sql)
        except (MethodNotImplemented, BadRequest):
            continue
        taken.append(sql)
    assert taken == []
    assert ids(trips) == [1, 2, 3]
    assert [each.table_id for each in trips.client.list_tables("p-1.d")] == ["trips"]


def test_refuses_definitions_in_a_transaction(trips: Warehouse) -> None:
    with pytest.raises(BadRequest, match="not supported in a transaction"):
        trips.job("BEGIN TRANSACTION; TRUNCATE TABLE d.trips; COMMIT TRANSACTION")
    assert ids(trips) == [1, 2, 3]


def test_refuses_a_dataset_of_another_location(bigquery: StandIn, trips: Warehouse) -> None:
    elsewhere = real.Client(project="p-1", credentials=AnonymousCredentials(), location="US")
    with pytest.raises(NotFound, match="was not found in location US"):
        elsewhere.query("SELECT id FROM d.trips", job_retry=None).result(job_retry=None)


def test_refuses_fields_of_a_job_that_it_does_not_know(bigquery: StandIn, trips: Warehouse) -> None:
    config = real.QueryJobConfig(clustering_fields=["a"])
    config._set_sub_prop("userDefinedFunctionResources", [{"inlineCode": "x"}])
    with pytest.raises(MethodNotImplemented, match="userDefinedFunctionResources"):
        trips.client.query("SELECT 1", job_config=config, job_retry=None).result(job_retry=None)
    with pytest.raises(MethodNotImplemented, match="legacy SQL"):
        trips.client.query("SELECT 1", job_config=real.QueryJobConfig(use_legacy_sql=True), job_retry=None).result(
            job_retry=None
        )
