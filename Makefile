# The daily commands. `make` alone lists them.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: help setup run test prove generate try lint lowest docs format news bench growing deploy translations
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
	$(BIN)/python -m pytest -n 3

prove: setup  ## what takes long: transactions, kills, the cache's protocol, deployments
	SANICBASE_TEST_PROGRAMS=2500 SANICBASE_TEST_KILLS=250 SANICBASE_TEST_PROTOCOL=2 SANICBASE_TEST_STOPS=30 \
		SANICBASE_TEST_WAYS=500 SANICBASE_TEST_CARDS=300 SANICBASE_TEST_COHERENCE=60 $(BIN)/python -m pytest \
		--timeout 3600 -m 'long or not long' tests/db/test_transaction_machine.py tests/db/test_transaction_crash.py \
		tests/cache tests/deploy tests/cli/test_add.py tests/app/test_supervision.py tests/app/test_orphans.py \
		tests/examples tests/migrations tests/cli/test_from_table.py tests/jobs

generate: setup  ## every service that sanicGuider can make: booted, migrated, tested, linted
	SANICBASE_TEST_GENERATED=all $(BIN)/python -m pytest --timeout 3600 tests/cli/test_generated.py

try: setup  ## schemathesis, with many more requests than the tests make
	SANICBASE_TEST_EXAMPLES=500 $(BIN)/python -m pytest --timeout 3600 -m "long or not long" tests/http/test_schemathesis.py \
		tests/examples/test_schemathesis.py

format: setup  ## put the code in shape
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

lint: setup  ## ruff, the layers, the types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/mypy

bench: setup  ## servers side by side: a table and a picture in benchmarks/results
	$(BIN)/python -m benchmarks.compare

growing: setup  ## one machine against four, in network namespaces; needs root
	$(BIN)/python benchmarks/growing.py

translations: setup  ## bring the catalogs of all languages up to date, and compile them
	$(BIN)/python -m docs.translations $(LANGUAGES)

docs: translations  ## write the reference pages from the docstrings
	$(BIN)/python -m docs.reference

lowest: setup  ## the tests, on the lowest versions that pyproject.toml allows
	$(BIN)/uv venv --quiet --clear --seed --python $(BIN)/python .venv-lowest
	VIRTUAL_ENV=.venv-lowest $(BIN)/uv pip install --quiet --resolution lowest-direct -e '.[test]'
	.venv-lowest/bin/python -m pytest -n 3

news: setup  ## gather the news fragments into CHANGELOG.md
	$(BIN)/towncrier build --yes

deploy: setup  ## render deploy/ anew
	$(BIN)/sanicGuider deploy systemd xi_test --elsewhere --directory /srv/xi_test --python /srv/xi_test/.venv/bin/python --user xi_test --force
	$(BIN)/sanicGuider deploy systemd xi_test --elsewhere --directory /home/ann/xi_test --python /home/ann/xi_test/.venv/bin/python --account --force
	$(BIN)/sanicGuider deploy supervisor xi_test --elsewhere --directory /srv/xi_test --python /srv/xi_test/.venv/bin/python --user xi_test --force
	$(BIN)/sanicGuider deploy nginx xi_test --directory /srv/xi_test --server-name example.com --force
	$(BIN)/sanicGuider deploy compose xi_test --python-version 3.13 --force
	$(BIN)/sanicGuider deploy k8s xi_test --image xi_test:1 --force
	$(BIN)/sanicGuider deploy grafana xi_test --force
