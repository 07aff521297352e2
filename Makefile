# Everything here needs git, make and Python 3.10 or newer, and makes .venv by itself.

PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11 python3.10; do \
	$$p -c 'import sys, venv, ensurepip; assert sys.version_info >= (3, 10)' 2>/dev/null \
	&& { echo $$p; break; }; done)
VENV ?= .venv
BIN := $(VENV)/bin

.DEFAULT_GOAL := help
.PHONY: help demo test lint fuzz faults soak bench profile check clean

help: ## Say what can be made
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/  make \1\t\2/'

demo: $(VENV)/.demo ## Watch three small services on a page, in about a minute
	@$(BIN)/otelbridge demo $(DEMO)

test: $(VENV)/.test ## Run the tests that need nothing but Python
	@$(BIN)/pytest -q -n auto -m "not servers and not browser" $(TESTS)

lint: $(VENV)/.test $(VENV)/.lint ## Check style and types
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

fuzz: $(VENV)/.test ## Throw 20,000 broken inputs at every receiver; some minutes
	@OTELBRIDGE_FUZZ_EXAMPLES=20000 $(BIN)/pytest -q -n auto --timeout 3600 tests/receivers/test_fuzzing.py

faults: $(VENV)/.test ## Break servers under load for two minutes each and count every record; about two hours
	@OTELBRIDGE_FAULT_SECONDS=$(or $(FAULT_SECONDS),120) $(BIN)/pytest -q -m faults -n 3 --dist worksteal tests/faults

soak: $(VENV)/.test ## An hour of requests with a fault every minute; draws docs/images/soak.svg
	@$(BIN)/python -m benchmarks.soak $(SOAK)

bench: $(VENV)/.test ## Measure speed, beside what others make; BENCH=--full is for the record, into docs/performance.md
	@$(BIN)/python -m benchmarks $(BENCH)

profile: $(VENV)/.test ## Say where a request's processor time goes, by stage
	@$(BIN)/python -m benchmarks.profile $(PROFILE)

kibana: .venvs/kibana/.made ## Compile Kibana's dashboards; needs Python 3.12 or newer
	@.venvs/kibana/bin/python kibana/compile.py

check: ## Run everything, as CI does; installs Chromium with apt where it is missing
	@.ci/run

clean: ## Remove what was made
	rm -rf $(VENV) .venvs dist build .pytest_cache .mypy_cache .ruff_cache .hypothesis

# --- the virtual environment, made again when what it holds changes --------------------------------

$(VENV)/.made:
	@test -n "$(PYTHON)" || { echo "Python 3.10 or newer with its venv module is needed"; exit 1; }
	@echo "making $(VENV) with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install -q --disable-pip-version-check --upgrade "pip>=25.1"
	@touch $@

$(VENV)/.demo: $(VENV)/.made pyproject.toml
	@echo "installing otelbridge and the demo shop's needs into $(VENV)"
	@$(BIN)/python -m pip install -q --disable-pip-version-check -e '.[demo]'
	@touch $@

$(VENV)/.test: $(VENV)/.demo pyproject.toml
	@echo "installing what the tests need into $(VENV)"
	@$(BIN)/python -m pip install -q --disable-pip-version-check --group test
	@touch $@

# The compiler of dashboards has an environment of its own: it needs a newer Python.
.venvs/kibana/.made: kibana/requirements.txt
	@kibana/make_environment .venvs/kibana
	@touch $@

$(VENV)/.servers: $(VENV)/.test pyproject.toml
	@echo "compiling uWSGI into $(VENV)"
	@$(BIN)/python -m pip install -q --disable-pip-version-check --group servers
	@touch $@

$(VENV)/.lint: $(VENV)/.made pyproject.toml
	@echo "installing ruff and mypy into $(VENV)"
	@$(BIN)/python -m pip install -q --disable-pip-version-check --group lint
	@touch $@
