# Airflow with exactly what requirements.txt locks. DAGs, plugins, sources and settings are not
# in the image: docker-compose.yaml mounts them, so that an edit shows without a new build.
FROM apache/airflow:3.3.2-python3.12

COPY requirements.txt /opt/taxiway/requirements.txt

RUN pip install --no-cache-dir --no-deps --require-hashes --requirement /opt/taxiway/requirements.txt

# A new named volume takes over the owner of the folder that it is mounted on: without these
# folders root would own the volumes, and the airflow user could not write into them.
RUN mkdir -p /opt/airflow/logs /opt/airflow/auth /opt/airflow/.taxiway/cache
