#!/usr/bin/env bash
# Two databases in one server: `airflow` (Airflow's metadata, owned by the role airflow) and
# `taxi` (the warehouse, owned by the role taxiway). Runs at every start of docker compose:
# what is there already stays, passwords become those of the environment.
#
# Reads PGHOST, PGUSER (a superuser) and PGPASSWORD as every Postgres client does, and the two
# roles' passwords from AIRFLOW_DB_PASSWORD and TAXIWAY_DB_PASSWORD.
set -euo pipefail

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

SELECT format('CREATE DATABASE %I OWNER %I TEMPLATE template0 ENCODING ''UTF8''', database, owner)
FROM (VALUES ('airflow', 'airflow'), ('taxi', 'taxiway')) AS wanted (database, owner)
WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = database)
\gexec

-- By default every role may connect to every database; each of the two sees its own only.
REVOKE ALL ON DATABASE airflow, taxi FROM PUBLIC;
SQL

echo "postgres-init: database airflow belongs to role airflow, database taxi to role taxiway"
