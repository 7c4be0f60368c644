# Everything starts here. Run `make help` for the list.
# Set-up is done once and remembered by stamp files in .make/, which depend on the pinned requirement files.
# All paths are relative, so that a clone in a folder with spaces in its name works.

SHELL := /bin/sh
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
# One virtual environment and one apt: nothing here gains from running side by side.
.NOTPARALLEL:
.PHONY: help demo test bench faults fuzz models generalise ablate lint format setup hooks lock clean

BIN := .venv/bin
PINS := deploy/requirements
PIP := $(BIN)/python -m pip install --quiet --no-input --disable-pip-version-check
# The whole of a target's arguments, such as: make demo ARGS=--once
ARGS ?=

help:  ## this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## */\t/' | awk -F '\t' '{printf "  make %-10s %s\n", $$1, $$2}'

demo: .make/debian-demo .make/editable  ## the whole job on this machine, simulated hospital included (ARGS=--once: run through and exit)
	@$(BIN)/ptx demo $(ARGS)

setup: .make/debian-test .make/dev  ## everything that demo, test and bench need

# A file's tests stay together, since they share what their fixtures start; JOBS=0 runs all in one process.
JOBS ?= 2

test: setup lint  ## set-up, lint, then every test (ARGS go to pytest)
	@$(BIN)/python -m pytest -n $(JOBS) --dist loadfile -m "not campaign" $(ARGS)

lint: .make/dev  ## ruff, mypy, import contracts
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --quiet --check .
	@$(BIN)/mypy --no-error-summary
	@PYTHONPATH=. $(BIN)/lint-imports >.make/lint-imports.log 2>&1 || { cat .make/lint-imports.log; exit 1; }

format: .make/dev  ## rewrite the code as the formatter wants it
	@$(BIN)/ruff check --quiet --fix .
	@$(BIN)/ruff format --quiet .

# Each program in tests/bench is one table; BENCH="ingest" chooses. ARGS go to each.
BENCH ?= $(filter-out conftest __init__ test_%,$(basename $(notdir $(wildcard tests/bench/*.py))))

bench: setup  ## speed and memory against Orthanc and dcmtk in the same run: prints tables of ratios
	@status=0; for one in $(BENCH); do $(BIN)/python -m tests.bench.$$one $(ARGS) || status=1; done; exit $$status

faults: setup  ## the long campaign: processes killed at random moments while studies flow
	@$(BIN)/python -m pytest -m campaign tests/faults $(ARGS)

fuzz: setup  ## the long campaign: 400 requests to each operation of the API, fitting and not (PTX_API_SEED: others)
	@$(BIN)/python -m pytest -m campaign tests/integration/test_dashboard_api.py $(ARGS)

models: .make/training  ## train, judge and export both models on simulated patients (hours; goes on where it was stopped)
	@training/recipes/radiograph.sh
	@training/recipes/ct.sh

generalise: .make/training  ## one site trained, other sites tested, under each handling of pixels (an hour)
	@training/recipes/generalise.sh

ablate: .make/training  ## the ablation study's sixteen settings on simulated patients (hours)
	@training/recipes/ablation.sh

hooks: .make/dev  ## run the lint before each commit
	@$(BIN)/pre-commit install

lock: .make/dev  ## write the pinned requirement files again, from what is installed
	@$(BIN)/python $(PINS)/lock.py

clean:  ## forget the set-up
	rm -rf .venv .make build *.egg-info .mypy_cache .ruff_cache .pytest_cache .import_linter_cache

# --- set-up -------------------------------------------------------------------------------------------------------------

.make:
	@mkdir -p .make

# The demo goes on without Debian's packages (it delivers to a folder instead), and asks again the next time.
.make/debian-demo: deploy/debian-packages.sh | .make
	@if sh deploy/debian-packages.sh demo; then touch $@; fi

.make/debian-test: deploy/debian-packages.sh | .make
	@sh deploy/debian-packages.sh test
	@touch $@ .make/debian-demo

.make/venv: deploy/new-venv.sh | .make/debian-demo
	@sh deploy/new-venv.sh .venv
	@touch $@

# torch first and exactly: an open range in a later step would take the newest build instead.
.make/torch: $(PINS)/worker.txt deploy/install-torch.sh .make/venv
	@echo "installing torch"
	@sh deploy/install-torch.sh $(BIN)/python "$$(grep '^torch==' $(PINS)/worker.txt)"
	@touch $@

.make/runtime: $(PINS)/base.txt $(PINS)/worker.txt $(PINS)/export.txt .make/torch
	@echo "installing what the node runs on"
	@$(PIP) -r $(PINS)/base.txt -r $(PINS)/worker.txt -r $(PINS)/export.txt
	@touch $@

.make/editable: pyproject.toml .make/runtime
	@$(PIP) --no-deps --no-build-isolation --editable .
	@touch $@

.make/training: $(PINS)/training.txt .make/editable
	@echo "installing what training needs"
	@$(PIP) -r $(PINS)/training.txt
	@touch $@

.make/dev: $(PINS)/dev.txt .make/training
	@echo "installing the test tools"
	@$(PIP) -r $(PINS)/dev.txt
	@touch $@
