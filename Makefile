# The few things that people and CI run. Each works from a clean clone with nothing installed.

PYTHON ?= python3
BIN := .venv/bin
VENV := $(BIN:/bin=)
LAKE := memtriggers-demo
STUDY := memtriggers-study
# A file of exact versions, which CI installs; people get the newest that fit.
LOCK ?=
# The demo needs less than the tests; where these have their environment, it takes that.
DEMO := $(if $(wildcard $(VENV)/installed),$(VENV)/installed,$(VENV)/demo-installed)

COMPILE := $(BIN)/uv pip compile pyproject.toml --universal --python-version 3.11 --no-emit-index-url \
	--no-annotate --quiet --custom-compile-command 'make lock'
PYTEST := $(BIN)/pytest -n 2 --dist loadgroup --no-loadscope-reorder

.PHONY: demo test test-slow test-lowest lock lint format types check bench study screenshots clean help

demo: $(DEMO)  ## the whole loop on bundled rows, and where the report is
	$(BIN)/memtriggers demo --lake $(LAKE)

test: $(VENV)/installed  ## run the tests that a change needs
	$(PYTEST) -m 'not slow'

test-slow: $(VENV)/installed  ## trainings, packaging, kills, browser tours, the whole demo
	$(PYTEST) -m slow

test-lowest:  ## run the tests with the lowest version of each package, in .venv-lowest
	$(MAKE) test BIN=.venv-lowest/bin LOCK=requirements/lowest.txt

lock: $(VENV)/installed  ## name exact versions again: those that CI has, and the lowest (UPGRADE=--upgrade)
	$(BIN)/pip install --quiet uv
	$(COMPILE) --extra all --extra dev $(UPGRADE) --output-file requirements/lock.txt
	$(COMPILE) --extra all --extra dev --resolution lowest-direct --output-file requirements/lowest.txt
	$(COMPILE) --extra explore --resolution lowest-direct --output-file requirements/lowest-base.txt

lint: $(VENV)/installed  ## ruff, and sqlfluff for what queries mean
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	cd sql && $(CURDIR)/$(BIN)/sqlfluff lint --nocolor .
	cd models && $(CURDIR)/$(BIN)/sqlfluff lint --nocolor .

format: $(VENV)/installed  ## write Python as ruff formats it
	$(BIN)/ruff check --fix --exit-zero --quiet .
	$(BIN)/ruff format .

types: $(VENV)/installed  ## mypy
	mkdir -p .types && ln -sfn .. .types/memtriggers
	MYPYPATH=.types $(BIN)/mypy -p memtriggers

check: lint types test test-slow  ## what CI runs

bench: $(VENV)/installed  ## time us and the peers in turn
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

study: $(VENV)/installed  ## train the models of the validation and measure them: hours, resumable
	$(BIN)/python -m memtriggers.making.validation $(STUDY)

screenshots: $(VENV)/installed demo  ## the README's pictures, of the demo's lake; needs a chromium
	$(BIN)/python docs/screenshots.py $(LAKE)

$(VENV)/installed: EXTRAS := all,dev
$(VENV)/demo-installed: EXTRAS := generate
$(VENV)/installed $(VENV)/demo-installed: pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit("memtriggers needs Python 3.11 or newer") if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade pip
	$(BIN)/pip install --quiet $(if $(LOCK),--constraint $(LOCK)) --editable '.[$(EXTRAS)]'
	touch $@

help:  ## this list
	@sed -n 's/^\([a-z-]*\):.*##  *\(.*\)/\1\t\2/p' $(MAKEFILE_LIST) | expand -t 14

clean:  ## remove the environment and what was made in the tree
	rm -rf .venv .venv-lowest .types build dist *.egg-info $(LAKE) $(STUDY)
