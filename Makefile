# What a person does with torrentnet. `make` alone lists it.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
LAB := $(BIN)/torrentnet
INSTALL = $(BIN)/python -m pip install -qq --disable-pip-version-check --no-warn-script-location --constraint constraints.txt
# A user's settings for installs outside of environments must not leak into this one.
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_USER := 0
unexport PIP_TARGET PIP_PREFIX PIP_ROOT PYTHONHOME

# What the user gives goes by the environment, as it is: neither make nor a shell reads it as code.
VALUES := scenario set program tracker peers trust path engine node args grid repeat quick only runs write again python minutes seed hours jobs format out at against open for full capture small_blocks ui
$(foreach name,$(VALUES),$(eval override $(name) := $$(value $(name))))
export $(VALUES)
CALL = $(BIN)/python -I -S scripts/call.py

.DEFAULT_GOAL := help
TARGETS := help up run ui sweep report down attach logs status watch scenarios explain graph validate inspect doctor shell capture unit check test torture lint docs bench figure \
	engine browser image bundle constraints clean fuzz soak
TARGETS += web
.PHONY: $(TARGETS)
MAKEFLAGS += --no-print-directory --silent

# `make up three_seeders`: words behind such a target that are no targets themselves are its values.
ifneq ($(filter up run ui sweep report explain graph validate inspect attach logs capture,$(firstword $(MAKECMDGOALS))),)
export GOALS := $(filter-out $(TARGETS),$(MAKECMDGOALS))
.DEFAULT:
	@:
endif

help: ## list what there is
	@echo 'usage: make TARGET [scenario=NAME] [set="NAME=VALUE ..."] [engine=docker|local] [node=NAME]'
	@echo '       make run scenario=NAME tracker=PATH peers=PATH   programs in the place of ours'
	@echo
	@sed -n 's/^\([a-z]*\):[^#]*## \(.*\)/  \1|\2/p' $(firstword $(MAKEFILE_LIST)) | awk -F'|' '{ printf "%-12s %s\n", $$1, $$2 }'

# -- the lab ---------------------------------------------------------------------------------------

# Docker where it answers, else processes of this machine; engine=docker and engine=local force one.
up: $(VENV)/.lab ## bring a scenario up, judge it, leave it up: make up scenario=three_seeders [ui=1: its live page]
	@$(CALL) $(LAB) up +scenario! +set +program +tracker +peers +trust +engine +capture +full +small_blocks +ui +args

run: $(VENV)/.lab ## bring a scenario up, judge it, take it down: make run scenario=keepalive [ui=1]
	@$(CALL) $(LAB) run +scenario! +set +program +tracker +peers +trust +engine +capture +full +small_blocks +ui +args

ui: $(VENV)/.lab ## the live page of the lab that is up, or of a scenario's last run: make ui [scenario=NAME]
	@$(CALL) $(LAB) ui +scenario +args

sweep: $(VENV)/.lab ## run it over a grid: make sweep scenario=textbook grid="leechers=1,5,10 strategy=single,swarm" repeat=3
	@$(CALL) $(LAB) sweep +scenario! +grid +repeat +set +program +tracker +peers +trust +engine +args

report: $(VENV)/.lab ## one HTML file of a run: make report [scenario=NAME] [against=RUN] [out=FILE] [open=1]
	@$(CALL) $(LAB) report +scenario +against +out +open +args

down: $(VENV)/.lab ## take down what `up` left
	@$(LAB) down

attach: $(VENV)/.lab ## a node's command line: make attach node=leecher-1
	@$(CALL) $(LAB) attach +node!

logs: $(VENV)/.lab ## what the nodes say, as it comes; one node with node=leecher-1
	@$(CALL) $(LAB) logs --follow +node || { status=$$?; [ $$status = 130 ] || exit $$status; } # Ctrl-C is how one ends it

capture: $(VENV)/.lab ## its packets, for Wireshark: make capture [node=leecher-1] [out=FILE] [for=30s] [full=1]
	@$(CALL) $(LAB) capture +node +out +for +full +args

status: $(VENV)/.lab ## the nodes of the lab that is up
	@$(LAB) status

watch: $(VENV)/.lab ## the same, as it changes; Ctrl-C ends it
	@$(LAB) status --watch

explain: $(VENV)/.lab ## what a scenario will do, with every command: make explain scenario=three_seeders
	@$(CALL) $(LAB) explain +scenario! +set +program +tracker +peers +engine +args

graph: $(VENV)/.lab ## a picture of a network: make graph scenario=three_seeders [out=FILE.svg] [at=2.5s: of its last run]
	@$(CALL) $(LAB) graph +scenario +format +out +at +set +args

validate: $(VENV)/.lab ## every problem of a scenario's file: make validate scenario=FILE
	@$(CALL) $(LAB) validate +files! +set +program +tracker +peers +args

inspect: $(VENV)/.lab ## what is in a program's folder or archive: make inspect path=../submission.zip
	@$(CALL) $(LAB) inspect +path! +args

scenarios: $(VENV)/.lab ## list the scenarios
	@$(LAB) scenarios

doctor: $(VENV)/.lab ## what this machine has, what is missing and how to mend it
	@$(CALL) $(LAB) doctor +engine

shell: $(VENV)/.lab ## a shell that knows the command torrentnet
	@echo "torrentnet is a command of this shell; exit leaves it"
	@PATH="$$PWD/$(BIN):$$PATH" exec "$${SHELL:-/bin/sh}"

# -- the machine -----------------------------------------------------------------------------------

engine: ## install and start Docker Engine and Compose (Debian, Ubuntu; needs root)
	@scripts/engine.sh

browser: ## install Chromium for the tests of the HTML pages (Debian; needs root)
	@scripts/browser.sh

image: $(VENV)/.lab ## build the image that the nodes run, if its sources have changed
	@$(LAB) image

bundle: $(VENV)/.lab ## one archive for machines without a network: make bundle [python="3.11 3.12 3.13"]
	@$(CALL) $(BIN)/python -m scripts.bundle +python +args

clean: ## remove the lab that is up, the environment and the caches; runs/ stays
	@if [ -x $(LAB) ]; then $(LAB) down || true; fi
	@rm -rf $(VENV) build .pytest_cache .mypy_cache .ruff_cache .hypothesis *.egg-info
	@find torrentnet tests -name __pycache__ -type d -prune -exec rm -rf {} +

# -- tests -----------------------------------------------------------------------------------------

# The ten tests that took longest are named at the end.
PYTEST = $(BIN)/python -m pytest -q --durations=10

unit: $(VENV)/.test ## the unit tests alone, a minute or two; no Docker
	@$(CALL) $(PYTEST) --numprocesses 2 tests/unit +args

check: lint unit ## lint and the unit tests: before each commit

.PHONY: try-browser
try-browser:
	@scripts/browser.sh --try

test: lint try-browser ## lint and all tests; those that need Docker or Chromium are skipped without it
	@parallel=0; alone=0; \
	$(CALL) $(PYTEST) -m "not alone and not torture" --numprocesses 5 --dist loadgroup --no-loadscope-reorder +args || parallel=$$?; \
	[ $$parallel != 2 ] || exit 2; : '2: interrupted, or a file that cannot be imported'; \
	$(CALL) $(PYTEST) -m alone --numprocesses 3 --dist loadgroup --ignore tests/unit +args || alone=$$?; \
	case $$parallel,$$alone in 0,[05]|5,0) ;; *) exit 1;; esac # 5: args chose none of these

fuzz: $(VENV)/.test ## random packets, messages and scenarios: make fuzz [minutes=10] [only="decoders guided"] [seed=2]
	@$(BIN)/python -c 'import atheris' 2>/dev/null || $(INSTALL) --only-binary :all: atheris \
		|| echo "atheris cannot be installed here: no input is guided by coverage" >&2
	@$(CALL) $(BIN)/python -m tests.fuzz --minutes 5 +minutes +only +seed

notebook: $(VENV)/.test ## run the notebook of docs/record.md: it reads a run's record with pandas
	@$(BIN)/python -c 'import pandas' 2>/dev/null || $(INSTALL) --only-binary :all: pandas \
		|| echo "pandas cannot be installed here: the notebook is not run" >&2
	@$(CALL) $(PYTEST) tests/unit/test_notebook.py +args

torture: $(VENV)/.test ## the lab while its output, disk, terminal or helpers fail: every cell, and the table; some 20 minutes
	@$(CALL) $(PYTEST) -p no:cacheprovider --numprocesses 2 tests/torture +args

mutants: $(VENV)/.test ## grade programs of which it is known what is wrong: make mutants [only="plain one_recv"] [repeat=20] [jobs=4]
	@$(CALL) $(BIN)/python -m tests.submissions.grade_mutants +only +repeat +jobs

lint: $(VENV)/.test ## ruff and mypy
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/mypy

docs: $(VENV)/.docs ## build the pages of docs/ as a site with search: build/docs/index.html
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet
	@echo "the pages are in build/docs; open build/docs/index.html"

web: ## build the viewer of report.html from web/, check and test it; needs Node 20 and npm
	@command -v npm >/dev/null || { echo "npm is not installed. On Debian and Ubuntu: apt-get install nodejs npm; only \`make web\` needs it" >&2; exit 2; }
	@cd web && { [ node_modules/.package-lock.json -nt package-lock.json ] || npm ci --silent; }
	@cd web && npm run --silent check && npm run --silent format && npm run --silent build && npm test --silent

soak: $(VENV)/.test ## random scenarios for hours, stops where something grows: make soak [hours=8] [seed=1] [engine=local]
	@$(CALL) $(BIN)/python -m tests.soak +hours +seed +engine

bench: $(VENV)/.bench ## measure side by side with other programs: make bench [quick=1] [only=bytes] [runs=5]
	@$(CALL) $(BIN)/python -m bench +quick +only +runs +write

figure: $(VENV)/.bench ## measure and draw the textbook's figure, 20 minutes: make figure [quick=1] [runs=5] [again=1: only draw]
	@$(CALL) $(BIN)/python -m bench.figure +quick +runs +again +engine

# -- the virtual environment -----------------------------------------------------------------------

# An environment knows its own place: one that was copied or moved with its checkout, or whose Python is gone, is made again.
ifneq ($(wildcard $(VENV)/.made),)
ifneq ($(shell test -x $(BIN)/python && grep -qF "$$(pwd -P)/$(BIN)/python" $(BIN)/pip && echo works),works)
MOVED := forget-environment
endif
endif
.PHONY: forget-environment
forget-environment:
	@rm -rf $(VENV)

$(VENV)/.made: $(MOVED)
	@test -w . || { echo "this directory may not be written by you: copy it to one of yours, or let its owner run make here once" >&2; exit 2; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Python 3.11 or newer is needed; $(PYTHON) is $$($(PYTHON) --version 2>&1). Name another: make PYTHON=python3.12 ..." >&2; exit 2; }
	@echo "making the virtual environment in $(VENV)"
	@$(PYTHON) -m venv $(VENV) \
		|| { rm -rf $(VENV); echo "python3 -m venv failed. On Debian and Ubuntu: apt-get install python3-venv, or make engine" >&2; exit 2; }
	@touch $@

$(VENV)/.lab: pyproject.toml constraints.txt $(MOVED) | $(VENV)/.made
	@echo "installing the lab's libraries"
	@$(INSTALL) --editable '.[lab]'
	@touch $@

$(VENV)/.bench: pyproject.toml constraints.txt $(MOVED) | $(VENV)/.made
	@echo "installing the lab's and the benchmark's libraries"
	@$(INSTALL) --editable '.[lab,bench]'
	@touch $@ $(VENV)/.lab

$(VENV)/.test: pyproject.toml constraints.txt $(MOVED) | $(VENV)/.made
	@echo "installing the lab's and the tests' libraries"
	@$(INSTALL) --editable '.[lab,test]'
	@touch $@ $(VENV)/.lab

$(VENV)/.docs: pyproject.toml constraints.txt $(MOVED) | $(VENV)/.made
	@echo "installing the libraries of \`make docs\`"
	@$(INSTALL) --editable '.[docs]'
	@touch $@

constraints: ## write constraints.txt anew: the newest releases that pyproject.toml allows
	@rm -rf build/constraints && $(PYTHON) -m venv build/constraints
	@build/constraints/bin/python -m pip install -qq --editable '.[lab,test,bench,docs]'
	@{ head -n 1 constraints.txt; build/constraints/bin/python -m pip freeze --exclude-editable | sort -f; } >build/constraints.txt
	@mv build/constraints.txt constraints.txt && rm -rf build/constraints
