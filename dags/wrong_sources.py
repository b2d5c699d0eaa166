"""Makes no DAG: if a file of include/sources is wrong, Airflow shows an import error of this file that says what is.

The other sources have their DAGs all the same.
"""

from taxiway.orchestration.dag_template import require_sound_sources

require_sound_sources()
