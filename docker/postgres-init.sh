#!/usr/bin/env bash
# Two databases in one server: `airflow` (Airflow's metadata, owned by the role airflow) and
# `taxi` (the warehouse, in which the role taxiway owns its schemas and tables, and taxiway_reader
# may read). Runs at every start of docker compose: what is there already stays, passwords become
# those of the environment, rights those of this version.
#
# Reads PGHOST, PGUSER (a superuser) and PGPASSWORD as every Postgres client does, and the two
# roles' passwords from AIRFLOW_DB_PASSWORD and TAXIWAY_DB_PASSWORD.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

# Checked before anything is changed: these passwords become part of an address and of a JSON
# text, where other characters would have to be escaped, each time differently.
for name in AIRFLOW_DB_PASSWORD TAXIWAY_DB_PASSWORD; do
    if [[ ! ${!name:-} =~ ^[A-Za-z0-9_-]+$ ]]; then
        echo "postgres-init: ${name} is empty, or has characters other than letters, digits, - and _." >&2
        echo "postgres-init: set it in .env to what this prints: python3 -c 'import secrets; print(secrets.token_urlsafe(24))'" >&2
        exit 1
    fi
done

# \getenv rather than --set: arguments of a process can be read by others on the same machine.
psql --no-psqlrc --quiet --set=ON_ERROR_STOP=1 --dbname=postgres <<'SQL'
\getenv airflow_password AIRFLOW_DB_PASSWORD
\getenv taxiway_password TAXIWAY_DB_PASSWORD

SELECT format('CREATE ROLE %I', role)
FROM unnest(ARRAY['airflow', 'taxiway']) AS wanted (role)
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = role)
\gexec

ALTER ROLE airflow LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION PASSWORD :'airflow_password';
ALTER ROLE taxiway LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION PASSWORD :'taxiway_password';

SELECT format('CREATE DATABASE %I TEMPLATE template0 ENCODING ''UTF8''', database)
FROM unnest(ARRAY['airflow', 'taxi']) AS wanted (database)
WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = database)
\gexec

ALTER DATABASE airflow OWNER TO airflow;

-- By default every role may connect to every database; each of the two sees its own only.
REVOKE ALL ON DATABASE airflow, taxi, postgres, template1 FROM PUBLIC;
SQL

psql --no-psqlrc --quiet --set=ON_ERROR_STOP=1 --single-transaction --dbname=taxi \
    --file="${here}/../include/sql/postgres/set_up_warehouse.sql"

echo "postgres-init: database airflow belongs to role airflow; in taxi, taxiway loads and taxiway_reader may read"
