# Each of these alone does all set-up it needs on Debian 12, as root or through sudo: see tools/setup.sh.

SHELL := /bin/bash
VENV := build/venv
PYTHON := $(VENV)/bin/python
# Headless Qt, and a runtime folder of ours; TensorFlow's start-up chatter off.
RUN := QT_QPA_PLATFORM=offscreen XDG_RUNTIME_DIR=$(CURDIR)/build/run TF_CPP_MIN_LOG_LEVEL=2 \
	QUADRAT_PYTHON=$(CURDIR)/$(PYTHON)

.PHONY: demo test lint zip setup clean

demo: setup
	$(RUN) $(PYTHON) tools/demo.py

# The engine's tests load TensorFlow, those of the QGIS side load QGIS: never both in one process.
test: setup
	$(RUN) $(PYTHON) -m pytest -p no:cacheprovider $(or $(TESTS),tests/engine tests/test_doors.py)
ifndef TESTS
	$(RUN) $(PYTHON) -m pytest -p no:cacheprovider tests/plugin tests/algorithms
endif

lint: setup
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy engine
	$(PYTHON) tools/package.py
	$(PYTHON) tools/scan.py dist/quadrat.zip

zip:
	python3 tools/package.py

setup:
	tools/setup.sh

clean:
	rm -rf build dist
