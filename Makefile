# Quantrac. `make demo` shows it, `make test` checks it; both set up what they need.
#
#   make demo  [PORT=8080]     everything on this machine, with simulated stations
#   make test      [WORKERS=3] linters, type check and every test but the slow proofs
#   make test-long             the slow proofs: kills, cut connections, long runs (CI runs both)
#   make setup                 .venv with all that Quantrac needs; then .venv/bin/quantrac works
#   make setup-edge            the same for a gateway: the edge part alone
#   make bench [ONLY=name]     the benchmarks; figures in build/bench.json
#   make chaos [FAULTS=200] [STORE=influxdb|embedded]   destroy things at random and count what was lost (nothing)
#   make docs                  write docs/commands.md and the rooms in docs/architecture.md
#   make lint | format         ruff and mypy | ruff's formatter
#   make lock                  pin the newest versions that fit pyproject.toml

PYTHON ?= python3
PORT ?= 8080
FAULTS ?= 200
STORE ?= influxdb
# Tests wait for servers as much as they compute, so a worker more than two cores have is used too.
WORKERS ?= 3
PARALLEL = --numprocesses $(WORKERS) --dist worksteal
VENV := .venv
BIN := $(VENV)/bin
PAGE := cloud_ingest/web/static/index.html
PAGE_SOURCES := $(shell find cloud_ingest/web -type f -not -path '*/node_modules/*' -not -path '*/static/*' 2>/dev/null)

.PHONY: setup setup-edge setup-dev setup-servers demo test test-long bench chaos docs lint format lock clean

setup: $(VENV)/.ready $(PAGE)

setup-dev: setup $(VENV)/.ready-dev

# What a gateway needs: no numpy, no web server, no database server.
setup-edge: | $(VENV)/bin/python
	@echo "Installing the edge agent and what it needs ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/build.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/edge.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@echo "Ready: $(BIN)/quantrac edge --help"

demo: setup
	@exec $(BIN)/quantrac demo --port $(PORT)

test: setup-dev setup-servers build/peers/.ready
	$(MAKE) --no-print-directory lint
	$(BIN)/python -m pytest -m "not slow" $(PARALLEL)

test-long: setup-dev setup-servers build/peers/.ready
	$(BIN)/python -m pytest -m slow $(PARALLEL)

bench: setup-dev setup-servers
	$(BIN)/python -m benchmarks $(if $(ONLY),--only $(ONLY))

chaos: setup-dev setup-servers
	$(BIN)/python -m tests.chaos --faults $(FAULTS) --store $(STORE)

docs: setup-dev
	$(BIN)/python -m tests.docs.commands_page
	$(BIN)/python -m tests.docs.architecture_page

lint: setup-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

format: setup-dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

$(VENV)/bin/python:
	@sh scripts/make-venv.sh $(PYTHON) $(VENV)

$(VENV)/.ready: requirements/build.lock requirements/cloud.lock pyproject.toml | $(VENV)/bin/python
	@echo "Installing Quantrac and what it needs ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/build.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/cloud.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.ready-dev: requirements/dev.lock $(VENV)/.ready
	@echo "Installing what the tests need ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.lock
	@touch $@

$(PAGE): $(PAGE_SOURCES) | $(VENV)/.ready
	@sh scripts/build-page.sh $(VENV)

setup-servers:
	@sh scripts/install-servers.sh

# Independent Sparkplug programs, apart from Quantrac's environment; without them their tests are
# skipped and say so.
build/peers/.ready: tests/conformance/peers.py | $(VENV)/.ready-dev
	@echo "Installing Sparkplug programs of others for the tests ..."
	-@$(BIN)/python -m tests.conformance.peers && touch $@

lock: setup-dev
	@sh scripts/lock.sh $(BIN)/python

clean:
	rm -rf $(VENV) build cloud_ingest/web/static cloud_ingest/web/node_modules
