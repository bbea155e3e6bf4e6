# The few things that people and CI run. Each works from a clean clone with nothing installed.

PYTHON ?= python3
BIN := .venv/bin
LAKE := memtriggers-demo
STUDY := memtriggers-study
# The demo needs less than the tests; where these have their environment, it takes that.
DEMO := $(if $(wildcard .venv/installed),.venv/installed,.venv/demo-installed)

PYTEST := $(BIN)/pytest -n 2 --dist loadgroup --no-loadscope-reorder

.PHONY: demo test test-slow lint format types check bench study screenshots clean help

demo: $(DEMO)  ## the whole loop on bundled rows, and where the report is
	$(BIN)/memtriggers demo --lake $(LAKE)

test: .venv/installed  ## run the tests that a change needs
	$(PYTEST) -m 'not slow'

test-slow: .venv/installed  ## trainings, packaging, kills, browser tours, the whole demo
	$(PYTEST) -m slow

lint: .venv/installed  ## ruff, and sqlfluff for what queries mean
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	cd sql && $(CURDIR)/$(BIN)/sqlfluff lint --nocolor .
	cd models && $(CURDIR)/$(BIN)/sqlfluff lint --nocolor .

format: .venv/installed  ## write Python as ruff formats it
	$(BIN)/ruff check --fix --exit-zero --quiet .
	$(BIN)/ruff format .

types: .venv/installed  ## mypy
	mkdir -p .types && ln -sfn .. .types/memtriggers
	MYPYPATH=.types $(BIN)/mypy -p memtriggers

check: lint types test test-slow  ## what CI runs

bench: .venv/installed  ## time us and the peers in turn
	$(BIN)/pip install --quiet --editable '.[bench]'
	$(BIN)/python benchmarks/cluster.py
	$(BIN)/python benchmarks/captions.py
	$(BIN)/python benchmarks/captions_memory.py
	$(BIN)/python benchmarks/embed.py
	$(BIN)/python benchmarks/fetch.py
	$(BIN)/python benchmarks/store.py
	$(BIN)/python benchmarks/driver.py
	$(BIN)/python benchmarks/build.py
	$(BIN)/python benchmarks/generate.py
	$(BIN)/python benchmarks/report.py
	$(BIN)/python benchmarks/explore.py

study: .venv/installed  ## train the models of the validation and measure them: hours, resumable
	$(BIN)/python -m memtriggers.making.validation $(STUDY)

screenshots: .venv/installed demo  ## the README's pictures, of the demo's lake; needs a chromium
	$(BIN)/python docs/screenshots.py $(LAKE)

.venv/installed: EXTRAS := all,dev
.venv/demo-installed: EXTRAS := generate
.venv/installed .venv/demo-installed: pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit("memtriggers needs Python 3.11 or newer") if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --upgrade pip
	$(BIN)/pip install --quiet --editable '.[$(EXTRAS)]'
	touch $@

help:  ## this list
	@sed -n 's/^\([a-z-]*\):.*##  *\(.*\)/\1\t\2/p' $(MAKEFILE_LIST) | expand -t 14

clean:  ## remove the environment and what was made in the tree
	rm -rf .venv .types build dist *.egg-info $(LAKE) $(STUDY)
