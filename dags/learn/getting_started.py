"""## Extract, transform, query

Stands for the course's flow `03_getting_started_data_pipeline`. A run fetches products from a REST API, keeps some of
their columns, and computes the average price by brand.

| the course's word | here |
|---|---|
| input of type `ARRAY` | the parameter `columns_to_keep` |
| HTTP download | `HttpHook`, the hook of Airflow's HTTP provider |
| a task's output file | a file in the run's folder. The next task gets its path by XCom, never the rows |
| query in DuckDB, result stored | `average_prices`: the table is in the log and in `average_prices.csv` |

The connection `products_api` says where to ask. Run `airflow dags test getting_started`; the last task's log names the
file.
"""

from __future__ import annotations

import glob
import json
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from airflow.providers.http.hooks.http import HttpHook
from airflow.sdk import DAG, Param, task
from airflow.sdk.exceptions import AirflowFailException

from taxiway.orchestration.known_conf import refuse_unknown_conf
from taxiway.paths import LEARN_FOLDER

AVERAGE_PRICES = """
SELECT brand, round(avg(TRY_CAST(price AS DOUBLE)), 2) AS average_price
FROM read_json(?, columns = {brand: 'VARCHAR', price: 'VARCHAR'})
GROUP BY brand
ORDER BY average_price DESC NULLS LAST, brand
"""

with DAG(
    "getting_started",
    description="Fetches products, keeps some columns, and computes the average price by brand",
    doc_md=__doc__,
    schedule=None,
    start_date=datetime(2026, 1, 1, tzinfo=timezone.utc),
    tags=["learn"],
    params={
        "columns_to_keep": Param(
            ["brand", "price"],
            type="array",
            items={"type": "string"},
            examples=["brand", "category", "id", "price", "rating", "stock", "title"],
            title="Columns to keep",
            description="The average needs brand and price. A product without a column gets N/A in it.",
        )
    },
    default_args={
        "owner": "taxiway",
        "retries": 2,
        "retry_delay": timedelta(seconds=5),
        "execution_timeout": timedelta(minutes=5),
        "pre_execute": refuse_unknown_conf,
    },
) as dag:

    @task
    def fetch_products(run_id: Any = None) -> str:
        """Write what the API answers to a file of this run."""
        answer = HttpHook("GET", "products_api").run("products", extra_options={"timeout": 30})
        file = LEARN_FOLDER / "getting_started" / run_id / "products.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(answer.content)
        return str(file)

    @task
    def keep_columns(products: str, params: Any = None) -> str:
        """Keep the columns that the run asks for; a product without one gets N/A in it."""
        columns = params["columns_to_keep"]
        if missing := {"brand", "price"}.difference(columns):
            raise AirflowFailException(
                f"columns_to_keep is {columns}: expected also {' and '.join(sorted(missing))}, which the average "
                f"needs. Start a new run with them"
            )
        rows = json.loads(Path(products).read_bytes())["products"]
        file = Path(products).with_name("kept.json")
        file.write_text(json.dumps([{name: row.get(name, "N/A") for name in columns} for row in rows]))
        return str(file)

    @task
    def average_prices(kept: str) -> str:
        """Write the average price by brand, highest first, to a file and to the log."""
        import duckdb

        file = Path(kept).with_name("average_prices.csv")
        table = duckdb.sql(AVERAGE_PRICES, params=[glob.escape(kept)])
        table.write_csv(str(file))
        table.show(max_rows=1000)
        print(f"The table is in {file}")
        return str(file)

    average_prices(keep_columns(fetch_products()))
