# `make demo` shows it, `make quick` checks it while you work, `make test` proves it. Each sets up what it needs.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
UV := build/uv/bin/uv
PYTEST := $(BIN)/python -m pytest
PARALLEL := --numprocesses logical --dist worksteal
# Old versions of make print the output of two jobs line by line.
GROUPED := $(if $(filter output-sync,$(.FEATURES)),--output-sync=target)

CHECK_PYTHON = $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	{ echo "Python 3.11 to 3.13 is needed; name one with: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }

# The tests start hundreds of processes. Each would compile the package anew if none kept its byte code.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: axe clouds fab pyright help demo quick test test-without-airflow test-on-airflow verify browser smoke test-matrix reliability \
	bench lint audit format docs build constraints clean

help: ## list the commands; times are for two cores
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 14

$(STAMP): pyproject.toml constraints.txt requirements-dev.txt
	@$(CHECK_PYTHON)
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check \
		--constraint constraints.txt --requirement requirements-dev.txt --editable '.[sandbox]'
	touch $@

# An environment of its own: what development needs takes minutes to install.
build/demo/.installed: pyproject.toml constraints.txt
	@$(CHECK_PYTHON)
	$(PYTHON) -m venv build/demo
	build/demo/bin/python -m pip install --quiet --disable-pip-version-check \
		--constraint constraints.txt --editable '.[sandbox]'
	touch $@

demo: build/demo/.installed ## run both chains in a real Airflow against the sandbox, with no account and no key (2 min)
	build/demo/bin/python tools/demo.py $(if $(KEEP),--keep) $(if $(UNKIND),--unkind)

quick: lint ## while you work: lint, types, and the tests that start no other process (90 s)
	$(PYTEST) $(PARALLEL) -m 'not airflow and not program and not sandbox and not slow' --ignore=tests/sandbox

test: lint browser clouds ## before a commit: every test, with the coverage gate; few cases on a whole Airflow (12 min)
	@echo "Two runs of pytest side by side; each shows its output when it has ended, after minutes."
	@$(MAKE) --no-print-directory --jobs=2 $(GROUPED) test-without-airflow test-on-airflow
	@$(BIN)/python tools/skipped.py build/tests.xml build/tests-airflow.xml

# A whole Airflow waits most of the time. What runs beside it takes the processors only then.
test-without-airflow: $(STAMP)
	nice -n 19 $(PYTEST) $(PARALLEL) -m 'not airflow' --cov --cov-report=term --junitxml=build/tests.xml

test-on-airflow: $(STAMP)
	$(PYTEST) -m airflow --durations=10 --junitxml=build/tests-airflow.xml

verify: export FACESWAP_TESTS := full
verify: $(UV) axe fab pyright test test-matrix ## before a release, or after touching the paid path: all cases, all versions (1 h 30 min)

# Debian's where this user may install it, else Playwright's own. Without one, the tests in a browser are skipped.
browser: $(STAMP)
	@command -v chromium >/dev/null || \
		{ [ "$$(id -u)" = 0 ] && apt-get update -qq && apt-get install -y -qq chromium; } || \
		PLAYWRIGHT_DOWNLOAD_CONNECTION_TIMEOUT=10000 $(BIN)/python -m playwright install chromium || \
		echo "Chromium could not be installed"

# For tests/browser/test_gallery_below_a_path.py. Without it, its test is skipped.
axe:
	@test -e build/axe/node_modules/axe-core/axe.min.js || \
		npm install --silent --no-fund --no-audit --prefix build/axe axe-core@4.14.1 || \
		echo "axe-core could not be installed"

# For tests/test_typing.py. Without it, its test with pyright is skipped.
pyright: $(UV)
	@test -x build/pyright/bin/basedpyright || \
		{ $(UV) venv --quiet build/pyright && \
		$(UV) pip install --quiet --python build/pyright/bin/python basedpyright==1.40.2; } || \
		{ rm -rf build/pyright; echo "Pyright could not be installed"; }

# For tests/browser/test_gallery_with_fab.py, in an environment of its own: it brings Flask. Without it, its tests are
# skipped.
fab: $(STAMP) $(UV)
	@test -x build/fab/bin/python || $(UV) venv --quiet --python $(BIN)/python build/fab
	@$(UV) pip install --quiet --python build/fab/bin/python --constraint constraints.txt \
		--editable '.[sandbox]' 'apache-airflow-providers-fab>=3.10' || \
		{ rm -rf build/fab; echo "The FAB provider could not be installed"; }

# For tests/storage/test_clouds.py. Without one of them, its tests are skipped.
clouds: $(STAMP)
	@$(BIN)/python -c 'import adlfs, gcsfs, gcp_storage_emulator' 2>/dev/null || \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check \
			--constraint constraints.txt adlfs gcsfs gcp-storage-emulator==2026.7.19 || \
		echo "The storages of Google and Azure could not be installed"
	@test -x build/azurite/node_modules/.bin/azurite-blob || \
		npm install --silent --no-fund --no-audit --prefix build/azurite azurite@3.35.0 || \
		echo "Azurite could not be installed"

smoke: $(UV) ## the lowest supported versions: everything imports, and a Dag runs to its picture (2 min)
	$(PYTHON) tools/matrix.py --uv $(UV) --smoke

test-matrix: $(UV) ## the suite on the lowest and newest versions and on the next Airflow, on the Pythons found here (45 min)
	$(PYTHON) tools/matrix.py --uv $(UV)

reliability: $(STAMP) ## kill everything once more, and write what was seen into docs/reliability.md (10 min)
	FACESWAP_WRITE_DOCS=1 FACESWAP_TESTS=full $(PYTEST) tests/chaos/test_paid_once.py

bench: $(STAMP) ## measure our operators against a bare script and against what else one would write
	$(BIN)/python -m pip install --quiet --disable-pip-version-check \
		--constraint constraints.txt --requirement benchmarks/requirements.txt
	$(BIN)/python benchmarks/run.py
	$(BIN)/python benchmarks/run.py --suite chains

lint: $(STAMP) ## ruff and mypy (20 s, the first time a minute)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

audit: $(STAMP) ## ask a vulnerability service about all that is locked; fails where it cannot be asked
	$(BIN)/python tools/audit.py constraints.txt

format: $(STAMP) ## let ruff arrange the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(STAMP) ## the documentation, into build/docs; a warning is an error
	$(BIN)/python -m sphinx -b html -W --keep-going -n -q -d build/doctrees docs build/docs
	@echo "The documentation is in $(CURDIR)/build/docs/index.html"

build: $(STAMP) ## sdist, the wheel built from it, and its bill of materials, into dist/
	rm -rf dist
	$(BIN)/python -m build
	$(BIN)/python tools/sbom.py dist/*.whl

# pip would try versions for many minutes where uv knows the answer in seconds.
$(UV):
	$(PYTHON) -m venv build/uv
	build/uv/bin/python -m pip install --quiet --disable-pip-version-check uv

COMPILE = $(UV) pip compile --quiet --no-header --no-annotate --python-version 3.11 --all-extras
# What pyproject.toml promises at the least, with what there was beside it when Airflow 3.1 was new.
LOWEST := --resolution lowest-direct --exclude-newer 2025-10-10 \
	--exclude-newer-package apache-airflow-providers-common-compat=2026-11-21 \
	--exclude-newer-package imagesize=2026-11-21 --exclude-newer-package stamina=2026-11-21

constraints: $(UV) ## pin anew what development installs, and what the lowest versions are tested with
	rm -f build/newest.txt build/runtime.txt build/lowest.txt
	$(COMPILE) pyproject.toml requirements-dev.txt --output-file build/newest.txt
	$(COMPILE) $(LOWEST) pyproject.toml --output-file build/runtime.txt
	# The requests of that time warns of a newer chardet.
	$(COMPILE) --constraint build/runtime.txt --exclude-newer-package chardet=2025-10-10 \
		pyproject.toml requirements-dev.txt --output-file build/lowest.txt
	{ echo '# What development and CI install; made by `make constraints`.'; cat build/newest.txt; } > constraints.txt
	{ echo '# The lowest versions that are supported; made by `make constraints`.'; cat build/lowest.txt; } > constraints-lowest.txt

clean: ## remove what the commands above made
	rm -rf $(VENV) build dist demo-output .pytest_cache .mypy_cache .ruff_cache .coverage .coverage.*
