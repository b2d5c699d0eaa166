#!/usr/bin/env bash
# What Airflow's services need before they start: keys that work, the admin's login, and a metadata database
# of this Airflow's version. Runs at every start of docker compose; a second run changes
# nothing but a password that .env has changed.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

python "${here}/check_keys.py"
python "${here}/admin_login.py"
airflow db migrate
