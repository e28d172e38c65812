# Two commands on a fresh machine with Python >= 3.11, pip and make:
#   make bench    install what is pinned, then time everything that is selected by default
#   make test     the same set-up, then the core checks and the fast tests: minutes
#   make test-all make test, then everything that it leaves out; it installs the packages whose models
#                 are tried (examples/models), and what runs a notebook
# And on a quiet machine, for an hour each: make trial, this suite's verdicts beside other tools';
# make reference, every run that results/reference/ is made of (ARGS=--list shows them first);
# for two: make demonstration, what `cascade-bench regress` says of what is known
# for half an hour: make laws, the transformers' times at size large held to their counted FLOPs, and
# the time that two workers of a cluster save
# On a machine with a GPU, within 8 minutes, with what is installed there: make gpu OUT=DIR; make gpu
# DEVICE=cpu rehearses it
# make docs writes the pages that are made from the code, make site all pages as a site, build/site
# Another index for torch (CPU-only or CUDA builds): make bench TORCH_INDEX=URL

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt
TORCH := $(PIP) $(if $(TORCH_INDEX),--index-url $(TORCH_INDEX)) torch
ARGS ?=
PORTABLE := benchmarks cascade_bench impl_torch impl_jax results conftest.py

# Tests that measure no time run on every core at once, the others alone (conftest.py). The exit code 5
# says that none was selected, as with ARGS="-k name" in one of the two.
TESTS := $(BIN)/python -m pytest benchmarks tests --benchmark-skip
PARALLEL := -n auto --dist loadscope --no-loadscope-reorder
run = $(TESTS) -m "$(1) and not serial" $(PARALLEL) $(ARGS) || [ $$? -eq 5 ]
run_alone = $(TESTS) -m "$(1) and serial and not quiet" $(ARGS) || [ $$? -eq 5 ]

# The tests start hundreds of Python processes, and collect thousands of tests three times. Where the
# environment forbids compiled files (many container images do), each would compile every file again.
test test-all: export PYTHONDONTWRITEBYTECODE :=

.PHONY: bench test test-all audit gpu matrix trial reference demonstration laws docs site lint types clean

bench: $(VENV)/installed
	$(BIN)/python -m pytest benchmarks --benchmark-only $(ARGS)

test: $(VENV)/installed
	$(call run,not slow)
	$(call run_alone,not slow)

test-all: test $(VENV)/models
	$(call run,slow)
	$(call run_alone,slow)

audit: $(VENV)/installed
	$(BIN)/python -m tests.audit $(ARGS)

# with the interpreter that has the frameworks: that of $(VENV) where there is one, else PYTHON's
OUT ?= build/first_look
DEVICE ?= cuda
gpu:
	$(if $(wildcard $(BIN)/python),$(BIN)/python,$(PYTHON)) -m benchmarks.evaluation.first_look \
	  --out=$(OUT) --device=$(DEVICE) $(ARGS)

matrix: $(VENV)/installed
	$(BIN)/python -m benchmarks.evaluation.releases.matrix $(ARGS)

trial: $(VENV)/installed
	$(PIP) -e '.[trial]'
	$(BIN)/python -m benchmarks.evaluation.trial all $(ARGS)

reference: $(VENV)/installed
	$(BIN)/python -m benchmarks.evaluation.reference $(ARGS)

demonstration: $(VENV)/installed
	$(BIN)/python -m benchmarks.evaluation.demonstration.demonstrate $(ARGS)

laws: $(VENV)/installed
	$(BIN)/python -m pytest benchmarks/evaluation/measured_laws.py $(ARGS)
	$(BIN)/python -m pytest tests/system -m quiet -s $(ARGS)

docs: $(VENV)/installed
	$(BIN)/python -m benchmarks.evaluation.traps_page
	$(BIN)/python -m benchmarks.evaluation.protocol_page
	$(BIN)/python -m benchmarks.evaluation.scenario_page
	$(BIN)/python -m benchmarks.evaluation.options_page
	$(BIN)/python -m benchmarks.evaluation.records_page

# strict: a link or an anchor that leads nowhere ends it. SOURCE_URL=https://HOST/OWNER/NAME/blob/COMMIT
# links files there; without it they are copied into the site, which can be opened from its folder
site: $(VENV)/installed
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict $(ARGS)

lint: $(VENV)/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

# once more as on macOS, where a call that Linux alone has must be asked for first; tests may be Linux's
types: $(VENV)/installed
	$(BIN)/mypy
	$(BIN)/mypy --platform darwin --cache-dir .mypy_cache/darwin $(PORTABLE)

$(VENV)/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(TORCH)
	$(PIP) -e '.[all,dev]'
	touch $@

$(VENV)/models: $(VENV)/installed
	$(PIP) -e '.[models,notebook]'
	touch $@

clean:
	[ ! -x $(BIN)/python ] || $(BIN)/python -m benchmarks.harness.launches.check_cache
	rm -rf $(VENV)
