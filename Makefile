# Everything here sets itself up: a virtual environment in .venv, nothing outside this folder.
PYTHON ?= $(shell command -v python3.11 || command -v python3.12 || command -v python3.13 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
INSTALLED_CORE := $(VENV)/.installed-core
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
WORKERS ?= 2

.PHONY: help demo test test-slow test-long test-vm test-vm-quick lint format reference clean packages

help:
	@echo "make demo       the main job before your eyes: back up, prove, wreck, restore, undo"
	@echo "make test       the quick tests (under ten minutes)"
	@echo "make test-slow  the slow ones; make test-long those that take many minutes; make test-vm those that need a kernel with dm-crypt"
	@echo "make test-vm-quick  of those, the quick ones (docs/testing.md)"
	@echo "make lint       ruff, mypy --strict, the import contract"
	@echo "make reference  write docs/reference.md anew, after a change of options"
	@echo "make packages   which Debian packages the tests use, and which are missing"

$(INSTALLED_CORE): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "luksafe needs Python 3.11 or later"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(PIP) --editable .
	@touch $@

$(INSTALLED): $(INSTALLED_CORE)
	$(PIP) --editable '.[x509,paper,fuse,files,test,lint]'
	@touch $@

demo: $(INSTALLED_CORE)
	@PATH="$(CURDIR)/$(BIN):$$PATH" bash demo/run

test: $(INSTALLED) packages
	$(BIN)/python -m pytest -n $(WORKERS) -m 'not slow and not vm and not long'

test-slow: $(INSTALLED) packages
	$(BIN)/python -m pytest -n $(WORKERS) -m 'slow and not vm and not long'

test-long: $(INSTALLED) packages
	$(BIN)/python -m pytest -n $(WORKERS) -m 'long and not vm'

test-vm: $(INSTALLED)
	$(BIN)/python -m pytest -m vm

test-vm-quick: $(INSTALLED)
	$(BIN)/python -m pytest -m 'vm and not slow'

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(INSTALLED)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

reference: $(INSTALLED)
	$(BIN)/python docs/make-reference > docs/reference.md

packages:
	@missing=$$(while read -r name command; do \
	  PATH="$$PATH:/usr/sbin:/sbin" command -v "$$command" >/dev/null || echo "$$name"; done < debian-packages.txt); \
	if [ -n "$$missing" ]; then echo "tests that need these Debian packages will be skipped:" $$missing; \
	  echo "to have them: apt-get install" $$missing; fi

clean:
	rm -rf $(VENV) .demo .pytest_cache .mypy_cache .ruff_cache .hypothesis
