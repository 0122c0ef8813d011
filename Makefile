# Everything sets itself up: a virtual environment in .venv, from requirements.lock, hashes checked.
.DEFAULT_GOAL := help
SHELL := bash
.SHELLFLAGS := -euo pipefail -c

DATA ?= ./var
PORT ?=
POLICY ?= policies/mmrls.toml
STAFF ?= policies/mmrls-staff-example.csv
CASES ?= 200
KILLS ?= 30
SEED ?=
BENCH ?=
PYTEST_ARGS ?=

BIN := .venv/bin
TWO_AT_ONCE := -n 2 --dist loadfile --no-loadscope-reorder
STAMP := .venv/.set-up
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help setup run demo test lint bench chaos browser interop lock

help: ## what can be made
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/make \1\t\2/p' Makefile | expand -t 14

setup: $(STAMP) ## the virtual environment, once, and again when the lock changes

$(STAMP): requirements.lock pyproject.toml
	@python=""; \
	for candidate in "$${PYTHON:-}" python3 python3.13 python3.12 python3.11; do \
	  if [ -n "$$candidate" ] && "$$candidate" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' \
	      >/dev/null 2>&1; then python="$$candidate"; break; fi; \
	done; \
	if [ -z "$$python" ]; then \
	  echo "Imprimatur needs Python 3.11 or newer, with venv (on Debian: apt install python3-venv)." \
	       "Name one with PYTHON=/path/to/python3 make setup." >&2; exit 1; \
	fi; \
	echo "Setting up .venv (once; a minute or two)"; \
	[ -x $(BIN)/python ] || "$$python" -m venv .venv; \
	$(BIN)/python -m pip install -qq --require-hashes -r requirements.lock; \
	$(BIN)/python -m pip install -qq --no-deps --no-build-isolation -e .; \
	touch $(STAMP)

run: $(STAMP) ## start everything on this machine; Ctrl-C stops it (DATA=./var PORT=8080)
	@exec $(BIN)/imprimatur up --data "$(DATA)" $(if $(PORT),--port $(PORT)) --policy "$(POLICY)" --staff "$(STAFF)"

demo: $(STAMP) ## one whole case on real servers, narrated
	@exec $(BIN)/imprimatur demo

lint: $(STAMP) ## ruff, mypy, import contracts
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test: lint ## all checks and tests that need nothing but the clone, the ordeals aside (PYTEST_ARGS=...)
	$(BIN)/pytest $(TWO_AT_ONCE) -m "not ordeal" $(PYTEST_ARGS)

bench: $(STAMP) ## the benchmarks, each against its baseline (BENCH=name)
	@exec $(BIN)/python -m tests.bench $(if $(BENCH),"$(BENCH)")

chaos: $(STAMP) ## the ordeals, then kills, cuts, restarts (CASES=200 KILLS=30 SEED=n)
	$(BIN)/pytest $(TWO_AT_ONCE) -m ordeal
	@exec $(BIN)/python -m tests.chaos --cases $(CASES) --kills $(KILLS) $(if $(SEED),--seed $(SEED))

browser: ## tests in a real Chromium
	@echo "make browser: this version has no web pages yet, so there is nothing to test in a browser."

interop: $(STAMP) ## checks against other people's implementations (Go's verifier, pm4py; says what it had to skip)
	@exec $(BIN)/python -m tests.interop

lock: $(STAMP) ## resolve requirements.lock anew (LOCK_ARGS=--upgrade for newer versions)
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	  --no-emit-find-links --no-header --no-annotate --extra dev $(LOCK_ARGS) -o requirements.lock pyproject.toml
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	  --no-emit-find-links --no-header --no-annotate $(LOCK_ARGS) -o tests/interop/requirements.lock \
	  tests/interop/requirements.in
	@! grep -n '://' requirements.lock tests/interop/requirements.lock || { echo "a lock names an address" >&2; exit 1; }
