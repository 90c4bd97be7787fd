# Two commands matter: `make demo` shows it, `make test` proves it. Both set up what they need.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: help demo test reliability bench lint format build constraints clean

help: ## list the commands
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 14

$(STAMP): pyproject.toml constraints.txt requirements-dev.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed; name one with: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check \
		--constraint constraints.txt --requirement requirements-dev.txt --editable '.[sandbox]'
	touch $@

demo: $(STAMP) ## run both chains in a real Airflow against the sandbox, with no account and no key
	$(BIN)/python tools/demo.py

test: lint ## check the code, then run the whole suite with its coverage gate
	$(BIN)/python -m coverage erase
	$(BIN)/python -m pytest --cov --cov-report=term

reliability: $(STAMP) ## kill everything once more, and write what was seen into docs/reliability.md
	FACESWAP_WRITE_DOCS=1 $(BIN)/python -m pytest tests/chaos/test_paid_once.py

bench: $(STAMP) ## measure our operators against a bare script and against what else one would write
	$(BIN)/python -m pip install --quiet --disable-pip-version-check \
		--constraint constraints.txt --requirement benchmarks/requirements.txt
	$(BIN)/python benchmarks/run.py

lint: $(STAMP) ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(STAMP) ## let ruff arrange the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

build: $(STAMP) ## sdist, and the wheel built from it, into dist/
	rm -rf dist
	$(BIN)/python -m build

constraints: ## pin anew what development installs
	rm -rf build/fresh
	$(PYTHON) -m venv build/fresh
	build/fresh/bin/python -m pip install --quiet --upgrade --requirement requirements-dev.txt '.[sandbox]'
	{ echo '# What development and CI install; made by `make constraints`.'; \
	  build/fresh/bin/python -m pip freeze --exclude airflow-provider-faceswap; } > constraints.txt
	rm -rf build/fresh

clean: ## remove what the commands above made
	rm -rf $(VENV) build dist demo-output .pytest_cache .mypy_cache .ruff_cache .coverage .coverage.*
