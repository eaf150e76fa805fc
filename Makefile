# Two commands matter: `make demo` does the main job, `make test` shows that it works.
# Downloads go to the user's cache (XDG_CACHE_HOME), by digest; nothing is fetched twice.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
ROUNDS ?= 50
SEED ?= 1
SEEDS ?= 5
PIPELINES ?= 200
AUDITS ?= 20
PROFILE ?= standard

.PHONY: demo test lint bench soak soak-pipelines soak-prover host keycloak-host engine engine-down lock clean

demo: $(VENV)/.ready keycloak-host
	$(BIN)/python -m testbed.demo

test: $(VENV)/.ready host
	$(BIN)/python -m pytest -m "not soak" --numprocesses 2 --dist loadscope

lint: $(VENV)/.ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

bench: $(VENV)/.ready host
	$(BIN)/python -m benchmarks

soak: $(VENV)/.ready keycloak-host
	$(BIN)/python -m testbed.soak --rounds $(ROUNDS) --seed $(SEED)

# PIPELINES of a CI, 14 at a time, that end in every way while the service is killed three times.
soak-pipelines: $(VENV)/.ready keycloak-host
	$(BIN)/python -m testbed.pipelines --count $(PIPELINES) --seed $(SEED)

# SEEDS self-tests, then AUDITS audits of PROFILE; goes on where it was stopped.
soak-prover: $(VENV)/.ready keycloak-host
	$(BIN)/python -m testbed.prover --seeds $(SEEDS) --audits $(AUDITS) --profile $(PROFILE) \
		--write docs/perf/kill-table.md

host: keycloak-host
	deploy/setup-engine.sh
	deploy/setup-browser.sh

keycloak-host:
	deploy/setup-host.sh

# The engine and the registry of the tests, by hand; tests start and end them by themselves.
engine: $(VENV)/.ready
	$(BIN)/python -m testbed.engine up

engine-down: $(VENV)/.ready
	$(BIN)/python -m testbed.engine down

$(VENV)/.ready: requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed, this is " + sys.version)'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	touch $@

# Pins every dependency with its hashes, and no host.
lock: $(VENV)/.ready
	$(BIN)/uv pip compile pyproject.toml --all-extras --universal --python-version 3.11 --quiet \
		--generate-hashes --no-emit-index-url --no-emit-find-links --no-header --no-annotate \
		-o requirements.lock

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis
