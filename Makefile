# The daily commands. `make` alone lists them.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: help setup run test prove lint lowest docs format news bench
help:  ## list the commands
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

.venv/ready: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet -e '.[dev]'
	@touch .venv/ready

setup: .venv/ready  ## make .venv with everything a developer needs

run: setup  ## serve the example's HTTP service
	$(BIN)/python http_xi_test.py

test: setup  ## run the tests
	$(BIN)/python -m pytest

prove: setup  ## the generated transactions and the kills, many more of them
	SANICBASE_TEST_PROGRAMS=2500 SANICBASE_TEST_KILLS=250 $(BIN)/python -m pytest --timeout 3600 \
		tests/db/test_transaction_machine.py tests/db/test_transaction_crash.py

format: setup  ## put the code in shape
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

lint: setup  ## ruff, the floors, the types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/mypy

bench: setup  ## what an access line costs, beside Sanic's own
	$(BIN)/python benchmarks/log_access.py

docs: setup  ## write the reference pages from the docstrings
	$(BIN)/python docs/reference.py

lowest: setup  ## the tests, on the lowest versions that pyproject.toml allows
	$(BIN)/uv venv --quiet --clear --seed --python $(BIN)/python .venv-lowest
	VIRTUAL_ENV=.venv-lowest $(BIN)/uv pip install --quiet --resolution lowest-direct -e '.[test]'
	.venv-lowest/bin/python -m pytest

news: setup  ## gather the news fragments into CHANGELOG.md
	$(BIN)/towncrier build --yes
