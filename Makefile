# Every target sets up .venv itself. `make train ARGS="--train-data DIR --model-size small"` passes options on.
PYTHON ?= $(shell command -v python3.11 || command -v python3 || echo python3)
VENV ?= .venv
ARGS ?=
JOBS ?= 2
# Measurements of a minute or two. Longer ones: make bench BENCH=recordings ARGS="--data DIR --work DIR"
BENCH ?= model_sizes optimizer_cost train_throughput
BIN := $(VENV)/bin
STAMP := $(VENV)/.set-up
DOCS_STAMP := $(VENV)/.set-up-docs
PYTEST := $(BIN)/python -m pytest -q -n $(JOBS) --dist loadgroup --no-loadscope-reorder

.PHONY: help setup train demo test test-all lint bench soak docs docs-site clean

help:
	@echo "make setup      make .venv and install into it (every other target does it when needed)"
	@echo "make train      train at the stable level, on your data or the built-in corpus (ARGS=... passes options)"
	@echo "make demo       five minutes of training: the starter speaks, is fine-tuned, and speaks again"
	@echo "make test       run the fast tests: all pure functions and one of each main promise"
	@echo "make test-all   run the other tests: processes, traced training steps, whole runs"
	@echo "make lint       ruff and mypy"
	@echo "make bench      the quick measurements of bench/ (BENCH=... names others)"
	@echo "make soak       an hour of bombs, bad clips and kills at level basic, against a clean run (resumable)"
	@echo "make docs       write the generated pages of docs/reference"
	@echo "make docs-site  build the documentation into site/ (mkdocs build --strict)"

$(STAMP): requirements.txt pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "error: Python 3.11 or newer is needed, this is " + sys.version.split()[0] + "; set PYTHON=...")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e ".[dev]"
	touch $(STAMP)

setup: $(STAMP)

train: $(STAMP)
	$(BIN)/python train_stable.py $(ARGS)

demo: $(STAMP)
	$(BIN)/python -m myxtts demo $(ARGS)

test: $(STAMP)
	$(PYTEST) $(ARGS)

test-all: $(STAMP)
	$(PYTEST) -m "slow or process or graph" $(ARGS)

lint: $(STAMP)
	$(BIN)/python -m ruff check .
	$(BIN)/python -m mypy

bench: $(STAMP)
	@for name in $(BENCH); do echo "== $$name"; $(BIN)/python -m bench.$$name $(ARGS) || exit 1; done

soak: $(STAMP)
	$(BIN)/python -m bench.soak $(ARGS)

docs: $(STAMP)
	$(BIN)/python -m myxtts docs

$(DOCS_STAMP): $(STAMP)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e ".[docs]"
	touch $(DOCS_STAMP)

docs-site: $(DOCS_STAMP)
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet

clean:
	rm -rf .pytest_cache .mypy_cache .ruff_cache build dist site *.egg-info
