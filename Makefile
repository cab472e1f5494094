# Everything installs what it needs: Python packages by hash from requirements.lock, Kafka's jars by hash from deploy/kafka/jars.lock.
# A fresh machine needs Python 3.11 or newer and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/installed
export PYTHONHASHSEED ?= 0
# The tests call the program some hundred times: compiled once, not at each call (a fifth of a second each).
unexport PYTHONDONTWRITEBYTECODE

# The folders with tests over Kafka (tests/conftest.py says so where one is elsewhere).
OVER_KAFKA := tests/contract tests/e2e tests/faults tests/integration

# About half of what the tests without Kafka compute; the other half is whatever is not named here.
ASIDE := tests/hostile tests/property tests/unit/app tests/unit/node tests/unit/storage

.DEFAULT_GOAL := help
.PHONY: help demo consoles test lint unit soak explore faults bench docs wheel lock clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Python 3.11 or newer is needed: make PYTHON=/path/to/python3.11")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing the pinned packages into $(VENV)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes --requirement requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

demo: $(STAMP) ## the main job, told step by step on a real Kafka of its own
	@$(BIN)/broker demo

consoles: $(STAMP) ## the exchange with three agencies' nodes and consoles and the operator's pages, to be tried out in a browser, until Ctrl-C
	@$(BIN)/broker demo --consoles

# What the type checker allocates and drops at once is a sixth of its work with Node.js's own small nursery for it.
lint: $(STAMP) ## style, types, import directions
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check --quiet .
	@NODE_OPTIONS="--max-semi-space-size=64 $$NODE_OPTIONS" $(BIN)/basedpyright --level error
	@$(BIN)/lint-imports

# Side by side: the tests that wait for Kafka, those that only compute, in two halves, and the checks of style and types; all but the first
# give way. All have to pass. What they say is shown one after the other, the tests over Kafka as they run, and last what failed.
test: $(STAMP) ## lint and every test, on a real Kafka that the tests start
	@told=$$(mktemp -d); trap 'kill $$linting $$computing $$aside 2>/dev/null; rm -rf "$$told"' EXIT; trap 'exit 130' INT TERM; \
	nice $(MAKE) --no-print-directory lint >"$$told/lint" 2>&1 & linting=$$!; \
	nice $(BIN)/python -m pytest -q -m "not kafka and not soak" $(addprefix --ignore=,$(ASIDE)) tests >"$$told/computing" 2>&1 & computing=$$!; \
	nice $(BIN)/python -m pytest -q -m "not kafka and not soak" $(ASIDE) >"$$told/aside" 2>&1 & aside=$$!; \
	failed=; $(BIN)/python -m pytest -q -m "kafka and not soak" $(OVER_KAFKA) || failed="tests-over-Kafka"; \
	wait $$computing || failed="$$failed tests-without-Kafka"; cat "$$told/computing"; \
	wait $$aside || failed="$$failed tests-without-Kafka-aside"; cat "$$told/aside"; \
	wait $$linting || failed="$$failed lint"; cat "$$told/lint"; \
	test -z "$$failed" || { echo "failed:" $$failed >&2; exit 1; }

unit: $(STAMP) ## the tests that need no Kafka
	@$(BIN)/python -m pytest -q -m "not kafka and not soak"

soak: $(STAMP) ## the long forms
	@$(BIN)/python -m pytest -q -m soak

explore: $(STAMP) ## the property tests with examples that no run had before
	@$(BIN)/python -m pytest -q -m "not kafka and not soak" --hypothesis-profile=explore tests/property tests/hostile

bench: $(STAMP) ## measure this exchange against its peers side by side; ROWS=publish,relay for some rows, ROUNDS=3 for less
	@ROWS="$(ROWS)" ROUNDS="$(ROUNDS)" $(BIN)/python -m benchmarks

faults: $(STAMP) ## every write fails in every way, processes die, stand still and are flooded: the short forms, with a table
	@BROKER_FAULT_TABLE=1 $(BIN)/python -m pytest -q -m "not soak" tests/faults

docs: $(STAMP) ## write the pages that follow from schemas and refusal codes
	@$(BIN)/python -m docs.generate

wheel: $(STAMP) ## build the wheel, schemas and policies inside
	@$(BIN)/python -m build --wheel --no-isolation --outdir dist . 

lock: ## pin again all packages with hashes (maintainers; needs uv)
	@uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --no-emit-index-url \
	  --extra console --extra test --extra build --extra bench pyproject.toml --output-file requirements.lock

clean: ## remove what was built or installed here
	@rm -rf $(VENV) dist build .pytest_cache .hypothesis .ruff_cache
