# The commands of Taxiway; `make help` lists them.
SHELL := /bin/sh
.DEFAULT_GOAL := help
.PHONY: help setup ready asked-python demo demo-gcp demo-learn up down doctor psql test test-gcp test-install test-docker mutants bench bench-board pictures lint format lock schema clean

VENV := .venv
BIN := $(VENV)/bin
# An exported PYTHON is meant for other programs.
ifneq ($(origin PYTHON),command line)
PYTHON :=
endif

# A virtual environment has its own path written into it: if the checkout has moved, what needs one makes it anew.
ifneq ($(filter-out help down doctor clean,$(or $(MAKECMDGOALS),help)),)
MOVED := $(shell [ -f $(VENV)/.path ] && [ "$$(cat $(VENV)/.path)" != "$$(pwd -P)" ] && rm -rf $(VENV) && echo moved)
endif

help: ## List the commands
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ready ## Make everything ready: .venv, embedded Postgres, Airflow's metadata, connections
	@echo "Ready. Load months: bin/airflow dags backfill -s 2019-01-01 -e 2019-12-31 taxi_green. Web UI: make up. All commands: make help"

ready: $(VENV)/.runtime
	@$(BIN)/python -m taxiway_local.setup

demo: ROWS ?= 5000
demo: ready ## Load 2019 of green taxis from sample months (ROWS=5000 a month, SOURCE=fhv, YEAR=2024, or MIRROR=<address>)
	@$(BIN)/python -m taxiway_local.demo --rows="$(ROWS)" $(if $(SOURCE),--source "$(SOURCE)") $(if $(YEAR),--year "$(YEAR)") $(if $(MIRROR),--mirror "$(MIRROR)") $(if $(REPLACE),--replace)

demo-gcp: ROWS ?= 5000
demo-gcp: $(VENV)/.development ## Load three months into stand-ins for BigQuery, offline, and compare with Postgres
	@$(BIN)/python -m taxiway_local.demo_gcp --rows="$(ROWS)" $(if $(SOURCE),--source "$(SOURCE)")

demo-learn: ready ## Run the learning DAGs of docs/learn.md; what they ask on the web is a stand-in
	@$(BIN)/python -m taxiway_local.demo_learn

up: ready ## Start Airflow with its web UI in the background
	@$(BIN)/python -m taxiway_local.services up

down: ## Stop Airflow and embedded Postgres
	@if [ -x $(BIN)/python ]; then $(BIN)/python -m taxiway_local.services down; \
	elif [ -f .taxiway/postgres/postmaster.pid ] || [ -f .taxiway/services.json ]; then \
	    echo "make down: $(VENV) is not there, and Airflow or embedded Postgres may still run: run make setup, then make down" >&2; \
	    exit 1; fi

doctor: ## Find what is wrong, and say what mends it
	@if [ -x $(BIN)/python ]; then $(BIN)/python -m taxiway_local.doctor; \
	else echo "fail  setup: $(VENV) isn't there, or its Python doesn't run"; echo "      mend: make setup"; exit 1; fi

psql: ready ## Open psql on the warehouse (AS=postgres as its superuser)
	@$(BIN)/python -m taxiway_local.psql $(if $(filter-out default undefined,$(origin AS)),$(if $(AS),--as "$(AS)"))

# Thousands of processes import the same modules: Python compiles them once, even if the shell forbids it to keep that.
test: $(VENV)/.development $(VENV)/.bench ## Run all tests, on servers that they start themselves (JOBS=3: three files at once)
	@env -u PYTHONDONTWRITEBYTECODE $(BIN)/pytest $(if $(JOBS),--numprocesses "$(JOBS)" --dist loadfile --no-loadscope-reorder)

test-gcp: $(VENV)/.development ## Run the tests on the real Google Cloud (docs/bigquery.md says what they need and cost)
	@[ -n "$$TAXIWAY_TEST_GCP_PROJECT" ] || { \
	    echo "make test-gcp: TAXIWAY_TEST_GCP_PROJECT is not set: expected the id of a Google Cloud project, see docs/bigquery.md" >&2; exit 2; }
	@TAXIWAY_TEST_GCP=1 $(BIN)/pytest tests/gcp

test-install: PYTHONS ?= python3.10 python3.11 python3.12 python3.13
test-install: $(VENV)/.development ## Install on each supported Python, with its oldest pip (PYTHONS="names or paths")
	@TAXIWAY_TEST_INSTALL="$(PYTHONS)" $(BIN)/pytest tests/install

test-docker: $(VENV)/.development ## Run docker-compose.yaml on a Docker engine of its own (root on Debian; 4 GB of disk)
	@PYTHONPATH=plugins $(BIN)/python -m tests.docker

mutants: $(VENV)/.development ## Change sources, files and loads in small ways, and count what their tests notice (JOBS=1: one at a time)
	@$(BIN)/python -m tests.mutants "$(JOBS)"

bench: $(VENV)/.bench ## Measure Taxiway against COPY, the course's flow, pandas, dlt and a bare DAG (SCALE=year, ROWS, MONTHS, ROUNDS)
	@$(BIN)/python -m bench $(if $(SCALE),--scale "$(SCALE)") $(if $(ROWS),--rows "$(ROWS)") \
	    $(if $(MONTHS),--months "$(MONTHS)") $(if $(ROUNDS),--rounds "$(ROUNDS)")

bench-board: $(VENV)/.development ## Measure the board with 2,400 months and 50,000 attempts (needs Chromium)
	@$(BIN)/python -m bench.board

pictures: $(VENV)/.development ## Make the pictures of README.md and docs/ anew (needs Chromium)
	@PYTHONPATH=plugins $(BIN)/python -m tests.pictures

lint: $(VENV)/.development ## Check style, types and SQL
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/python -m tests.sql.lint

format: $(VENV)/.development ## Format the Python code
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

lock: $(VENV)/.development ## Compile requirements*.in into the hashed locks
	@bin/compile-locks

schema: $(VENV)/.development ## Write include/sources/source.schema.json: what a source's YAML file may say
	@PYTHONPATH=plugins $(BIN)/python -m taxiway.sources.source_file > .source.schema.json && mv .source.schema.json include/sources/source.schema.json

clean: down ## Stop everything and delete what setup made (the loaded months too)
	@if [ -x $(BIN)/python ]; then $(BIN)/python -m taxiway_local.own_home; fi
	rm -rf .taxiway logs reports airflow.cfg $(VENV)

# A PYTHON that is given must be the one that .venv was made with.
asked-python:
	@if [ -n "$(PYTHON)" ] && [ -x $(BIN)/python ]; then bin/make-venv --is "$(PYTHON)"; fi

# pip is told to install exactly what the locks say; the stamp is newer than the lock it installed.
$(VENV)/.runtime: requirements.txt bin/make-venv | asked-python
	@bin/make-venv requirements.txt $(PYTHON)
	@touch $@

$(VENV)/.development: $(VENV)/.runtime requirements-dev.txt
	@bin/make-venv requirements-dev.txt $(PYTHON)
	@touch $@

$(VENV)/.bench: $(VENV)/.runtime requirements-bench.txt
	@bin/make-venv requirements-bench.txt $(PYTHON)
	@touch $@
