# Two commands on a fresh machine with Python >= 3.11, pip and make:
#   make bench    install what is pinned, then time everything that is selected by default
#   make test     the same set-up, then every check and every test
# And on a quiet machine, for an hour each: make trial, this suite's verdicts beside other tools';
# make reference, every run that results/reference/ is made of (ARGS=--list shows them first);
# for two: make demonstration, what `cascade-bench regress` says of what is known
# Another index for torch (CPU-only or CUDA builds): make bench TORCH_INDEX=URL

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt
TORCH := $(PIP) $(if $(TORCH_INDEX),--index-url $(TORCH_INDEX)) torch
ARGS ?=

.PHONY: bench test audit trial reference demonstration docs lint types clean

bench: $(VENV)/installed
	$(BIN)/python -m pytest benchmarks --benchmark-only $(ARGS)

test: $(VENV)/installed
	$(BIN)/python -m pytest tests benchmarks --benchmark-skip $(ARGS)

audit: $(VENV)/installed
	$(BIN)/python -m tests.audit $(ARGS)

trial: $(VENV)/installed
	$(PIP) -e '.[trial]'
	$(BIN)/python -m benchmarks.evaluation.trial all $(ARGS)

reference: $(VENV)/installed
	$(BIN)/python -m benchmarks.evaluation.reference $(ARGS)

demonstration: $(VENV)/installed
	$(BIN)/python -m benchmarks.evaluation.demonstration.demonstrate $(ARGS)

docs: $(VENV)/installed
	$(BIN)/python -m benchmarks.evaluation.traps_page
	$(BIN)/python -m benchmarks.evaluation.protocol_page
	$(BIN)/python -m benchmarks.evaluation.scenario_page

lint: $(VENV)/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/installed
	$(BIN)/mypy

$(VENV)/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(TORCH)
	$(PIP) -e '.[all,dev]'
	touch $@

clean:
	rm -rf $(VENV)
