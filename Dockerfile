# Airflow with exactly what requirements.txt locks. DAGs, plugins, sources and settings are not
# in the image: docker-compose.yaml mounts them, so that an edit shows without a new build.
# The slim image has no provider packages: the full image's would stay next to the lock's.
FROM apache/airflow:slim-3.3.2-python3.12

# Under a strict umask only the file's owner could read it.
COPY --chown=airflow:0 requirements.txt /opt/taxiway/requirements.txt

# Compile what every start imports. Google's clients are most of the bytes, and are compiled when they are needed.
# Some packages ship files for other versions of Python: these don't compile, and nothing imports them.
RUN pip install --no-cache-dir --no-compile --no-deps --require-hashes --requirement /opt/taxiway/requirements.txt \
    && packages=$(python -c 'from importlib.util import find_spec as f; print(f("airflow").submodule_search_locations[0])')/.. \
    && { python -m compileall -q -j 0 -x '/(google|googleapiclient|litellm|pyarrow|pandas|ray|scipy|sklearn)/' "$packages" || true; }

# A new named volume gets the owner of the folder that it is mounted on. Without these folders
# root would own the volumes, and the airflow user could not write into them.
RUN mkdir -p /opt/airflow/logs /opt/airflow/auth /opt/airflow/.taxiway/cache /opt/airflow/.taxiway/learn /opt/airflow/reports
