# `make help` lists the targets. Two are all that a newcomer needs: `make run` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
EVIDENCE := docs/evidence
COMPILE := uv pip compile pyproject.toml --universal --generate-hashes --no-emit-index-url --no-annotate --python-version 3.11
ARGS ?=
TESTS ?= tests

.DEFAULT_GOAL := help
.PHONY: help setup run stack test test-fault test-full check fmt lint types arch bench openapi migrate lock clean clean-data

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-17s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

setup: $(READY) ## create .venv from requirements.lock (the others do it when needed)

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit(1)' || { echo "Headway needs Python 3.11 or newer, but '$(PYTHON)' is $$($(PYTHON) --version 2>&1). Name another one: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' || { echo "'$(PYTHON)' has no venv module; install it (Debian, Ubuntu: apt install python3-venv)" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --no-index -e .
	@touch $@

run: $(READY) ## start everything on 127.0.0.1:8080 (ARGS="--once" stops after the summary)
	$(BIN)/python -m services.standalone up $(ARGS)

stack: $(READY) ## the same as processes of their own, over a real Kafka (needs Java 17) and PostgreSQL
	$(BIN)/python -m services.standalone stack $(ARGS)

test: $(READY) ## every tier that this machine can run (TESTS=path and ARGS="-k word" narrow it)
	$(BIN)/python -m pytest -m "not fault and not scale" $(ARGS) $(TESTS)

test-fault: $(READY) ## tests of damage: kills, full disks; leaves a table in docs/evidence
	$(BIN)/python -m pytest -m fault --evidence=$(EVIDENCE)/test-fault.md $(ARGS) $(TESTS)

test-full: $(READY) ## full data sets and thousands of seeds; leaves a table in docs/evidence
	$(BIN)/python -m pytest -m scale --evidence=$(EVIDENCE)/test-full.md $(ARGS) $(TESTS)

check: lint types arch ## what needs no server: format, lint, types, architecture

fmt: $(READY) ## format the code and mend what lint can mend
	$(BIN)/ruff format . && $(BIN)/ruff check --fix .

lint: $(READY) ## check format and lint
	$(BIN)/ruff format --check . && $(BIN)/ruff check .

types: $(READY) ## mypy --strict
	$(BIN)/mypy

arch: $(READY) ## import contracts, budgets, and that documents tell what the code does
	$(BIN)/lint-imports --no-cache && $(BIN)/python -m pytest -q tests/architecture

bench: $(READY) ## speed as ratios against named baselines, in one run
	$(BIN)/python -m tests.bench $(ARGS)

openapi: $(READY) ## write docs/openapi and the table of segments from the code
	$(BIN)/python -m services.standalone.openapi docs/openapi
	$(BIN)/python -m services.standalone.gateway.documented docs/operations.md

migrate: $(READY) ## bring the database of HEADWAY_DATABASE_URL to head
	$(BIN)/python -m libs.common.db migrate

lock: $(READY) ## refresh requirements.lock and its part that images install (needs uv)
	$(COMPILE) --extra dev --extra embedded -o requirements.lock
	$(COMPILE) --constraint requirements.lock -o requirements.runtime.lock

clean: ## remove .venv, caches and build output; the data in .headway stays
	rm -rf $(VENV) .cache .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis build dist *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

clean-data: ## remove .headway, with every tenant and event in it
	$(if $(filter yes,$(SURE)),rm -rf .headway,@echo "this deletes all data in .headway; say: make clean-data SURE=yes" >&2; exit 1)
