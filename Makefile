# The commands of the project; CI runs the same ones. `make` alone lists them.
#
# Each command sets itself up in .venv. The interpreter is python3 if that is one we support, else
# the newest python3.x that is installed; PYTHON=/path/to/python chooses another.

.DEFAULT_GOAL := help
.PHONY: help demo demo-stop test lint scan format bench soak install clean

PYTHON ?=
VENV ?= .venv
BIN := $(VENV)/bin
SETUP := PYTHON="$(PYTHON)" VENV="$(VENV)" sh scripts/setup.sh
DEV := $(VENV)/.installed-dev
LOCAL := $(VENV)/.installed-local
# checkov demands versions of many packages that are not ours: it has an environment of its own.
SCAN_VENV := $(VENV)-scan

help: ## List the commands
	@echo "Commands:"
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1|\2/p' Makefile | awk -F'|' '{printf "%-18s %s\n", $$1, $$2}'

demo: $(LOCAL) ## Run a real workflow on the built-in local Braket: no AWS account, no Docker
	@$(BIN)/python examples/demo.py

demo-stop: ## Stop what the demo left running
	@if [ -x $(BIN)/python ]; then $(BIN)/python examples/demo.py --stop; \
	else echo "Nothing is running: there is no $(VENV)."; fi

test: $(DEV) ## Run the tests (ARGS="-k name" for some of them)
	@$(BIN)/python -m pytest -n 3 --dist loadfile $(ARGS)

lint: $(DEV) ## Check style, types, layers and templates
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check --quiet . || { echo "Run: make format"; exit 1; }
	@$(BIN)/mypy
	@$(BIN)/python scripts/layers.py
	@$(BIN)/cfn-lint assets/cloudformation/*.yaml
	@$(BIN)/hadolint docker/Dockerfile
	@if command -v terraform >/dev/null; then terraform -chdir=terraform fmt -check -diff -recursive; fi

scan: $(SCAN_VENV)/.installed ## Look for weaknesses in the Terraform templates
	@$(SCAN_VENV)/bin/checkov --directory terraform --framework terraform --skip-download \
		--compact --quiet

format: $(DEV) ## Put the sources into shape
	@$(BIN)/ruff check --fix --quiet . || true
	@$(BIN)/ruff format .

bench: $(DEV) ## Measure what electrons cost; ARGS="--only mass" for one case
	@$(BIN)/python -m scripts.bench $(ARGS)

soak: $(DEV) ## Run many electrons through random faults for minutes (ARGS="--seed 7")
	@$(BIN)/python -m scripts.soak $(ARGS)

install: $(DEV) ## Only set up .venv with everything that developing needs

clean: demo-stop ## Remove what the commands made, .venv included
	@rm -rf $(VENV) $(SCAN_VENV) .demo build dist .mypy_cache .pytest_cache .ruff_cache

$(DEV): pyproject.toml scripts/setup.sh scripts/install.py
	@$(SETUP) dev

$(SCAN_VENV)/.installed: | $(DEV)
	@$(BIN)/python -m venv --clear $(SCAN_VENV)
	@$(SCAN_VENV)/bin/python -m pip install --quiet --disable-pip-version-check "checkov>=3.2,<4"
	@touch $@

$(LOCAL): pyproject.toml scripts/setup.sh scripts/install.py
	@$(SETUP) local
