#!/bin/bash
# Stands in for the entry script of the official Airflow image: what Taxiway's services rely on of it.
set -euo pipefail
umask 0002
tries=${CONNECTION_CHECK_MAX_COUNT:-20}
while [ "$tries" -gt 0 ] && ! airflow db check >/dev/null 2>&1; do
    tries=$((tries - 1))
    [ "$tries" -gt 0 ] || { echo "the metadata database doesn't answer" >&2; exit 1; }
    sleep 3
done
case ${1:-} in
    bash | python) exec "$@" ;;
    airflow) shift ;;
esac
exec airflow "$@"
