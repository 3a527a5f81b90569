# Everything from nothing: a machine needs git, make and Python 3.11 or newer (with venv).
SHELL := /bin/bash
PYTHON ?= python3
UV_VERSION := 0.13.9
TEST_PROCESSES ?= auto
UV := .tools/bin/uv
VENV := .venv/bin

# Without cached bytecode every start of meltano, tap and loader takes seconds longer.
unexport PYTHONDONTWRITEBYTECODE
unexport VIRTUAL_ENV
export PATH := $(CURDIR)/.venv/bin:$(PATH)
export UV_PYTHON_DOWNLOADS := never
export MELTANO_PROJECT_ROOT := $(CURDIR)

.DEFAULT_GOAL := help
.PHONY: help install run test check attack bench psql stop lock clean

help: ## Show this list
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /  make \1\t/' | expand -t 20

install: .meltano/installed ## Install the tools and Meltano's plugins

run: install ## Load the whole company into PostgreSQL's raw schema, then verify
	@$(VENV)/python orchestrate/run.py

test: install check ## Run every test, lint and type check (TEST_PROCESSES)
	@$(VENV)/pytest --numprocesses $(TEST_PROCESSES) --dist worksteal

check: .venv/installed ## Lint and type check only
	@$(VENV)/ruff check
	@$(VENV)/ruff format --check
	@$(VENV)/mypy

attack: .venv/installed ## Attack the tap with 1,000 random cases (ATTACK_CASES, ATTACK_SEED)
	@seed=$${ATTACK_SEED:-$$RANDOM$$RANDOM}; echo "ATTACK_SEED=$$seed"; \
		ATTACK_SEED=$$seed ATTACK_CASES=$${ATTACK_CASES:-1000} $(VENV)/pytest tests/attack

bench: install ## Measure: tap alone, loader alone, end to end
	@$(VENV)/python benchmarks/run.py

psql: .venv/installed ## Open psql on the embedded PostgreSQL
	@$(VENV)/embedded-postgres psql

stop: .venv/installed ## Stop the embedded PostgreSQL and the simulator
	@$(VENV)/quickbooks-simulator stop --data .simulator
	@$(VENV)/embedded-postgres stop

lock: $(UV) ## Renew the lock file and the plugins' constraints
	@$(UV) lock --upgrade
	@$(UV) export --quiet --all-packages --no-hashes --no-emit-workspace --no-annotate --no-header \
		--output-file plugins/constraints.txt

clean: ## Remove what was installed; data, tokens and state stay
	rm -rf .tools .venv .meltano/installed .meltano/extractors .meltano/loaders .meltano/utilities

$(UV):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=/path/to/python3.11 ...")'
	@echo "Installing uv $(UV_VERSION)"
	@$(PYTHON) -m venv .tools
	@.tools/bin/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)

.venv/installed: $(UV) uv.lock pyproject.toml tap-quickbooks-raw/pyproject.toml $(wildcard plugins/*/*/pyproject.toml)
	@echo "Installing the project's packages"
	@$(UV) sync --quiet --locked --all-packages --python $(PYTHON)
	@touch $@

.meltano/installed: .venv/installed meltano.yml plugins/constraints.txt
	@echo "Installing Meltano's plugins"
	@$(VENV)/meltano --log-level warning install
	@mkdir -p .meltano && touch $@
