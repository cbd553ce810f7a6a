# `make demo` and `make test` set up everything they need in .venv; nothing outside the checkout is touched
# (but for Chromium, which `make test` installs with apt-get where it may).

VENV ?= .venv
BIN := $(VENV)/bin
PY := $(BIN)/python
# Written when an installation has succeeded; a newer pyproject.toml makes them due again.
RUN_STAMP := $(VENV)/.quiver-installed
DEV_STAMP := $(VENV)/.quiver-installed-dev

# The first interpreter on PATH that is new enough. `make PYTHON=/path/to/python` overrides it.
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11 python; do \
	command -v $$p >/dev/null 2>&1 && $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)

# Stamps of an environment whose interpreter has gone say nothing.
$(shell test -x $(PY) || rm -f $(RUN_STAMP) $(DEV_STAMP))

PIP := $(PY) -m pip --disable-pip-version-check --no-input --quiet

# Modules of tests that run at a time, each process with those of its own. 0: all in one, as a debugger needs it.
JOBS ?= 2

.PHONY: help demo test check lint types mypy pyright imports proto proto-check docs browser clean
.DEFAULT_GOAL := help

help:  ## Show the targets.
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | sort | while IFS="$$(printf '\t')" read -r n t; do printf '  make %-13s %s\n' "$$n" "$$t"; done

demo: $(RUN_STAMP)  ## Word count on a manager and two node daemons. TEXT=path: other text. KEEP=1: keep the UI until Ctrl-C.
	@$(BIN)/quiver demo

test: $(DEV_STAMP) browser  ## Run the tests (TESTS=tests/rdd: only those; ARGS: for pytest; JOBS=0: in one process; BROWSER=0: without Chromium).
	@$(PY) -m pytest --numprocesses=$(JOBS) --dist=loadfile --no-loadscope-reorder $(if $(filter 0,$(BROWSER)),-m 'not browser') $(TESTS) $(ARGS)

check: lint types imports proto-check test  ## Format, lint, types, imports, generated code, tests.

lint: $(DEV_STAMP)  ## Formatting and lint, without changing files.
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .

types: mypy pyright  ## mypy (strict) and pyright.

mypy: $(DEV_STAMP)
	@$(BIN)/mypy

pyright: $(DEV_STAMP)
	@$(BIN)/pyright --pythonpath $(PY)

imports: $(DEV_STAMP)  ## Imports between the packages run one way.
	@$(BIN)/lint-imports

proto: $(DEV_STAMP)  ## Generate the code of proto/quiver_proto/v1 anew.
	@$(PY) proto/generate.py

proto-check: $(DEV_STAMP)  ## Is the generated code current?
	@$(PY) proto/generate.py --check

docs: $(RUN_STAMP)  ## Bring what is made from the code up to date: README's table of settings, docs/parity-rdd.md, docs/parity-sql.md.
	@$(PY) driver/document.py
	@$(PY) driver/parity.py
	@$(PY) driver/parity_sql.py
	@$(PY) driver/parity_functions.py

clean:  ## Remove the virtual environment and what tools left behind.
	rm -rf '$(VENV)' .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# A virtual environment whose interpreter has gone is made anew. Debian's Python may lack ensurepip (package python3-venv):
# then pip, which is there, installs itself into the environment.
$(PY):
	@test -n '$(PYTHON)' || { echo 'Quiver needs Python 3.11 or newer, and none is on PATH. Install one, or: make PYTHON=/path/to/python' >&2; exit 1; }
	@echo "Setting up $(VENV) ..."
	@'$(PYTHON)' -m venv --clear '$(VENV)' >/dev/null 2>&1 \
	  || { '$(PYTHON)' -m venv --clear --without-pip '$(VENV)' && '$(PYTHON)' -m pip --disable-pip-version-check --quiet --python '$(PY)' install pip; } \
	  || { echo "A virtual environment can't be made with $(PYTHON). On Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }

$(RUN_STAMP): pyproject.toml | $(PY)
	@echo "Installing Quiver and what it needs (once; a minute or so) ..."
	@$(PIP) install --editable .
	@touch '$@'

$(DEV_STAMP): pyproject.toml | $(PY)
	@echo "Installing Quiver and its development tools (once; a minute or two) ..."
	@$(PIP) install --editable '.[dev]'
	@touch '$@' '$(RUN_STAMP)'

# The web UI's tests drive a real browser.
browser:
ifneq ($(BROWSER),0)
	@.ci/browser
endif
