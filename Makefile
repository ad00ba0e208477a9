# `make run`, `make test`, `make lint`; settings are environment variables or arguments: make run ONCE=1 DATA=/somewhere

PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
VENV := .venv
BIN := $(VENV)/bin
export DATA ONCE VISITS PORT_BASE AMQP_URI MONGODB_URI

.PHONY: run test lint setup setup-tests lock clean

run: setup
	@exec $(BIN)/python -m deploy.local.run

setup:
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed: install python3, or say make PYTHON=<its path>"; exit 1; }
	@$(PYTHON) -m deploy.local.setup

setup-tests:
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed: install python3, or say make PYTHON=<its path>"; exit 1; }
	@$(PYTHON) -m deploy.local.setup --tests

test: setup-tests
	@$(BIN)/python -m pytest $(ARGS)

lint: setup-tests
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

# Takes up new versions of what requirements.in names, and writes their hashes; no index address gets into the file.
lock:
	$(BIN)/uv pip compile --quiet --upgrade --generate-hashes --universal --python-version 3.11 \
		--no-header --no-annotate --no-emit-index-url --no-emit-find-links requirements.in -o requirements.lock

# Leaves the data folder alone: it is the campaign's. Remove .local/ by hand to begin anew.
clean:
	rm -rf build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -not -path './.venv/*' -not -path './.local/*' -prune -exec rm -rf {} +
