# Everything happens in .venv, made of exactly the packages that constraints*.txt name (.ci/lock makes these).
# Needs Python 3.11 or newer and make.
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
INSTALL := $(PIP) --require-hashes --no-deps

.PHONY: demo test lint types contracts docs tests clean

demo: .venv/ready  ## the whole job on two synthetic centres; says where the report is
	$(BIN)/recontour demo

test: lint types contracts docs tests  ## all of these; `make -j2 test` makes two of them at a time

lint: .venv/ready
	$(BIN)/ruff format --check
	$(BIN)/ruff check

types: .venv/ready
	$(BIN)/mypy

contracts: .venv/ready  ## which modules may import which
	$(BIN)/lint-imports

tests: .venv/ready
	$(BIN)/pytest

docs: .venv/ready  ## the documentation site, in site/; needs no network
	$(BIN)/zensical build --strict

.venv/ready: pyproject.toml $(wildcard constraints*.txt)
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "recontour needs Python 3.11 or newer; name one with PYTHON=...")'
	$(PYTHON) -m venv .venv
	$(INSTALL) --requirement constraints-build.txt
	$(INSTALL) --requirement constraints-cpu.txt --no-index 2>/dev/null || true  # only where pip finds it on a local disk
	$(INSTALL) --requirement constraints.txt --no-build-isolation
	if $(BIN)/pip show torch | grep nvidia >/dev/null; then $(INSTALL) --requirement constraints-cuda.txt; fi
	$(PIP) --no-deps --no-build-isolation --editable .
	$(BIN)/pip check
	touch $@

clean:
	rm -rf .venv recontour-demo site
