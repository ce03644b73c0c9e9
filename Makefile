# Two commands are all a newcomer needs: `make demo` and `make test`. Each makes .venv and installs into it.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

.PHONY: help demo test test-quick dev lint format types layers bench check clean

help:  ## List these targets
	@grep -E '^[a-z-]+:.*##' Makefile | sed -E 's/:[^#]*## /\t/'

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "rwsr needs Python 3.11 or newer; name one with: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@$(PYTHON) -m venv $(VENV) || \
		{ echo "could not make $(VENV): on Debian, 'apt-get install python3-venv' helps"; exit 1; }

# What a user gets; a stamp in .venv says which pyproject.toml and constraints.txt it was installed from.
$(VENV)/.rwsr: pyproject.toml constraints.txt | $(BIN)/python
	@echo "installing rwsr into $(VENV) (torch and friends: some minutes the first time)"
	@$(INSTALL) -e . && touch $@

$(VENV)/.rwsr-test: $(VENV)/.rwsr
	@$(INSTALL) -e '.[test]' && touch $@

$(VENV)/.rwsr-dev: $(VENV)/.rwsr-test
	@$(INSTALL) -e '.[dev]' && touch $@

demo: $(VENV)/.rwsr  ## The whole path on photographs: sources to HTML report, into demo/
	@$(BIN)/rwsr demo demo

AT_ONCE := -n logical --dist worksteal  # a process for each core

# In one thread: on networks as small as the tests', more of them wait for each other, long where others compute too.
test: $(VENV)/.rwsr-test  ## Every test
	@OMP_NUM_THREADS=$${OMP_NUM_THREADS:-1} $(BIN)/python -m pytest $(AT_ONCE)

test-quick: $(VENV)/.rwsr-test  ## The tests that are quick and need no server: under a minute
	@OMP_NUM_THREADS=$${OMP_NUM_THREADS:-1} $(BIN)/python -m pytest $(AT_ONCE) -q -m "not slow and not s3 and not prefect"

dev: $(VENV)/.rwsr-dev  ## Install what lint, types and layers need

lint: $(VENV)/.rwsr-dev  ## ruff: rules and format
	@$(BIN)/ruff check . && $(BIN)/ruff format --check .

format: $(VENV)/.rwsr-dev  ## ruff: correct what it can
	@$(BIN)/ruff check --fix . && $(BIN)/ruff format .

types: $(VENV)/.rwsr-dev  ## pyright, strict
	@$(BIN)/pyright

layers: $(VENV)/.rwsr-dev  ## import-linter: who may import whom
	@$(BIN)/lint-imports

# evaluation.py, training.py and those of papers/ need folders of yours; each says which.
BENCHMARKS := degrade readers noisebank pipelines faults damage crash_points demo

bench: $(VENV)/.rwsr-test  ## The measurements behind the figures we give, but those that need your folders
	@for name in $(BENCHMARKS); do echo "== $$name"; $(BIN)/python benchmarks/$$name.py || exit 1; done

check: lint types layers  ## What CI runs
	@$(MAKE) --no-print-directory test

clean:  ## Remove .venv and the demo
	rm -rf $(VENV) demo
