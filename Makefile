# make demo | test | test-slow | test-all | lint : each sets up .venv first
PYTHON ?= python3
BIN := .venv/bin
# two processes, each with whole files of tests; a file's fixtures are made once
SIDE_BY_SIDE := -n 2 --dist loadfile

.PHONY: demo test test-slow test-all lint clean

.venv/.ready: pyproject.toml constraints.txt
	$(PYTHON) -c "import sys; sys.exit(0 if sys.version_info >= (3, 11) else 'openclef needs Python 3.11 or newer; pass PYTHON=/path/to/python3.11')"
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[dev]"
	touch .venv/.ready

demo: .venv/.ready
	$(BIN)/openclef demo --out runs/demo

test: .venv/.ready
	$(BIN)/python -m pytest -m "not slow" $(SIDE_BY_SIDE)

test-slow: .venv/.ready
	$(BIN)/python -m pytest -m slow $(SIDE_BY_SIDE)

test-all: .venv/.ready
	$(BIN)/python -m pytest $(SIDE_BY_SIDE)

lint: .venv/.ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

clean:
	rm -rf .venv build dist runs .mypy_cache .pytest_cache .ruff_cache
