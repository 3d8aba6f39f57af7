# What a person does with torrentnet. `make` alone lists it.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
LAB := $(BIN)/torrentnet
INSTALL = $(BIN)/python -m pip install -qq --disable-pip-version-check --no-warn-script-location --constraint constraints.txt
# Python's own user site or settings must not leak into the environment.
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
.PHONY: help fuzz up run sweep down attach logs status watch scenarios explain doctor unit check test lint docs bench figure engine image \
	constraints clean
MAKEFLAGS += --no-print-directory

help: ## list what there is
	@echo 'usage: make TARGET [scenario=NAME] [set="NAME=VALUE ..."] [engine=docker|local] [node=NAME]'
	@echo
	@sed -n 's/^\([a-z]*\):[^#]*## \(.*\)/  \1|\2/p' $(firstword $(MAKEFILE_LIST)) | awk -F'|' '{ printf "%-12s %s\n", $$1, $$2 }'

# -- the lab ---------------------------------------------------------------------------------------

SET = $(foreach one,$(set),--set '$(one)')
# Docker where it answers, else processes of this machine; engine=docker and engine=local force one.
ENGINE = $(if $(strip $(engine)),--engine '$(strip $(engine))')

up: $(VENV)/.lab | need-scenario ## bring a scenario up, judge it, leave it up: make up scenario=three_seeders
	@$(LAB) up '$(scenario)' $(SET) $(ENGINE) $(args)

run: $(VENV)/.lab | need-scenario ## bring a scenario up, judge it, take it down: make run scenario=keepalive
	@$(LAB) run '$(scenario)' $(SET) $(ENGINE) $(args)

sweep: $(VENV)/.lab | need-scenario ## run it over a grid: make sweep scenario=textbook grid="leechers=1,5,10 strategy=single,swarm" repeat=3
	@$(LAB) sweep '$(scenario)' $(foreach one,$(grid),--grid '$(one)') $(if $(repeat),--repeat '$(repeat)') $(SET) $(ENGINE) $(args)

down: $(VENV)/.lab ## take down what `up` left
	@$(LAB) down

attach: $(VENV)/.lab | need-node ## a node's command line: make attach node=leecher-1
	@$(LAB) attach '$(node)'

logs: $(VENV)/.lab ## what the nodes say, as it comes; one node with node=leecher-1
	@$(LAB) logs --follow $(node) || test $$? = 130 # Ctrl-C is how one ends it

status: $(VENV)/.lab ## the nodes of the lab that is up
	@$(LAB) status

watch: $(VENV)/.lab ## the same, as it changes; Ctrl-C ends it
	@$(LAB) status --watch

explain: $(VENV)/.lab | need-scenario ## what a scenario will do, with every command: make explain scenario=three_seeders
	@$(LAB) explain '$(scenario)' $(SET) $(ENGINE) $(args)

scenarios: $(VENV)/.lab ## list the scenarios
	@$(LAB) scenarios

doctor: $(VENV)/.lab ## what this machine has, what is missing and how to mend it
	@$(LAB) doctor $(ENGINE)

.PHONY: need-scenario need-node
need-scenario:
	@test -n '$(scenario)' || { echo "which scenario? make $(firstword $(MAKECMDGOALS)) scenario=three_seeders; \`make scenarios\` lists them" >&2; exit 2; }

need-node:
	@test -n '$(node)' || { echo "which node? make attach node=tracker; \`make status\` lists them" >&2; exit 2; }

# -- the machine -----------------------------------------------------------------------------------

engine: ## install and start Docker Engine and Compose (Debian, Ubuntu; needs root)
	@scripts/engine.sh

image: $(VENV)/.lab ## build the image that the nodes run, if its sources have changed
	@$(LAB) image

clean: ## remove the lab that is up, the environment and the caches; runs/ stays
	@if [ -x $(LAB) ]; then $(LAB) down || true; fi
	@rm -rf $(VENV) build .pytest_cache .mypy_cache .ruff_cache .hypothesis *.egg-info
	@find torrentnet tests -name __pycache__ -type d -prune -exec rm -rf {} +

# -- tests -----------------------------------------------------------------------------------------

# The ten tests that took longest are named at the end.
PYTEST = $(BIN)/python -m pytest -q --durations=10

unit: $(VENV)/.test ## the unit tests alone, a minute or two; no Docker
	@$(PYTEST) --numprocesses 2 tests/unit $(args)

check: lint unit ## lint and the unit tests: before each commit

test: lint ## lint and all tests; those that need Docker are skipped without it
	@parallel=0; alone=0; \
	$(PYTEST) -m "not alone" --numprocesses 4 --dist loadgroup --no-loadscope-reorder $(args) || parallel=$$?; \
	[ $$parallel != 2 ] || exit 2; : '2: interrupted, or a file that cannot be imported'; \
	$(PYTEST) -m alone --numprocesses 2 --dist loadgroup --no-loadscope-reorder $(args) || alone=$$?; \
	case $$parallel,$$alone in 0,[05]|5,0) ;; *) exit 1;; esac # 5: args chose none of these

fuzz: $(VENV)/.test ## random packets, messages and scenarios: make fuzz [minutes=10] [only="decoders guided"] [seed=2]
	@$(BIN)/python -c 'import atheris' 2>/dev/null || $(INSTALL) --only-binary :all: atheris \
		|| echo "atheris cannot be installed here: no input is guided by coverage" >&2
	@$(BIN)/python -m tests.fuzz --minutes $(or $(minutes),5) $(if $(only),--only '$(only)') $(if $(seed),--seed '$(seed)')

lint: $(VENV)/.test ## ruff and mypy
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/mypy

docs: $(VENV)/.docs ## build the pages of docs/ as a site with search: build/docs/index.html
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet
	@echo "the pages are in build/docs; open build/docs/index.html"

bench: $(VENV)/.bench ## measure side by side with other programs: make bench [quick=1] [only=bytes] [runs=5]
	@$(BIN)/python -m bench $(if $(quick),--quick) $(if $(only),--only '$(only)') $(if $(runs),--runs '$(runs)') $(if $(write),--write)

figure: $(VENV)/.bench ## measure and draw the textbook's figure, 20 minutes: make figure [quick=1] [runs=5] [again=1: only draw]
	@$(BIN)/python -m bench.figure $(if $(quick),--quick) $(if $(runs),--runs '$(runs)') $(if $(again),--again) $(ENGINE)

# -- the virtual environment -----------------------------------------------------------------------

$(VENV)/.made:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Python 3.11 or newer is needed; $(PYTHON) is $$($(PYTHON) --version 2>&1). Name another: make PYTHON=python3.12 ..." >&2; exit 2; }
	@echo "making the virtual environment in $(VENV)"
	@$(PYTHON) -m venv $(VENV) \
		|| { rm -rf $(VENV); echo "python3 -m venv failed. On Debian and Ubuntu: apt-get install python3-venv, or make engine" >&2; exit 2; }
	@touch $@

$(VENV)/.lab: pyproject.toml constraints.txt | $(VENV)/.made
	@echo "installing the lab's libraries"
	@$(INSTALL) --editable '.[lab]'
	@touch $@

$(VENV)/.bench: pyproject.toml constraints.txt | $(VENV)/.made
	@echo "installing the lab's and the benchmark's libraries"
	@$(INSTALL) --editable '.[lab,bench]'
	@touch $@ $(VENV)/.lab

$(VENV)/.test: pyproject.toml constraints.txt | $(VENV)/.made
	@echo "installing the lab's and the tests' libraries"
	@$(INSTALL) --editable '.[lab,test]'
	@touch $@ $(VENV)/.lab

$(VENV)/.docs: pyproject.toml constraints.txt | $(VENV)/.made
	@echo "installing the libraries of \`make docs\`"
	@$(INSTALL) --editable '.[docs]'
	@touch $@

constraints: ## write constraints.txt anew: the newest releases that pyproject.toml allows
	@rm -rf build/constraints && $(PYTHON) -m venv build/constraints
	@build/constraints/bin/python -m pip install -qq --editable '.[lab,test,bench,docs]'
	@{ head -n 1 constraints.txt; build/constraints/bin/python -m pip freeze --exclude-editable | sort -f; } >build/constraints.txt
	@mv build/constraints.txt constraints.txt && rm -rf build/constraints
