# Each target sets up .venv itself: it needs Python 3.11, make and a package index, and takes about two minutes once.
BACKEND ?= torch
BACKENDS ?= torch tensorflow mxnet numpy

DISTRIBUTIONS := . $(patsubst %/pyproject.toml,%,$(wildcard backends/*/pyproject.toml))
PYTHON := .venv/bin/python
PIP := $(PYTHON) -m pip --disable-pip-version-check install --quiet
SETUP := .venv/.stamp

.PHONY: help setup demo test lint format bench support wheels clean

help:
	@echo "make demo [BACKEND=torch|tensorflow|mxnet]   train on handwritten digits, draw the curves"
	@echo "make test [BACKENDS='torch numpy']           lint, type check, the suite once per backend"
	@echo "make lint | format                           ruff and mypy | let ruff rewrite"
	@echo "make bench [BACKEND=...]                     side by side with native loops and Keras, a table of ratios"
	@echo "make support                                 write docs/support.md from the conformance kit"
	@echo "make wheels                                  build the wheels into dist/, prove them in fresh environments"

setup: $(SETUP)

# The editable installs neither resolve nor fetch anything: the pins decide, the build backend's included.
$(SETUP): requirements-dev.txt $(DISTRIBUTIONS:%=%/pyproject.toml) scripts/make_venv.sh
	sh scripts/make_venv.sh .venv
	$(PIP) -r requirements-dev.txt
	$(PIP) --no-deps --no-build-isolation $(DISTRIBUTIONS:%=-e %)
	touch $(SETUP)

demo: $(SETUP)
	UNIDL_BACKEND=$(BACKEND) $(PYTHON) examples/digits.py

test: $(SETUP)
	$(PYTHON) scripts/suite.py $(BACKENDS)

lint: $(SETUP)
	$(PYTHON) scripts/suite.py --lint-only

format: $(SETUP)
	$(PYTHON) -m ruff check --fix-only --quiet .
	$(PYTHON) -m ruff format .

bench: $(SETUP)
	$(PYTHON) benchmarks/run.py --backend $(BACKEND)

support: $(SETUP)
	$(PYTHON) scripts/support_matrix.py

wheels: $(SETUP)
	$(PYTHON) scripts/check_wheels.py --keep dist

clean:
	rm -rf .venv dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
