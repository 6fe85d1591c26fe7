# `make demo` and `make test` are all that a newcomer needs; both install what they use into .venv first.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test lint format bench bench-scale clean help

help:
	@echo "make demo    install, draw a phantom data set, train on it: leaves demo/"
	@echo "make test    install, run the tests"
	@echo "make lint    install, check format and style"
	@echo "make format  install, put format and style right"
	@echo "make bench   install, measure speed against the tutorial's loop"
	@echo "make bench-scale   the same for memory and time at 500 and 5,000 images"
	@echo "make clean   remove what make and the scripts made here (not the data in dataset/)"

# A stamp for each requirements file: nothing is installed twice, and everything again when a pin changes.
$(BIN)/python:
	@$(PYTHON) -c 'import sys; (3, 10) <= sys.version_info < (3, 14) or sys.exit("Python 3.10 to 3.13 is needed; say which: make PYTHON=python3.12")'
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || { echo "$(PYTHON) cannot make virtual environments: install python3-venv"; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/installed: requirements.txt | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@touch $@

$(VENV)/installed-dev: requirements-dev.txt requirements.txt | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $@ $(VENV)/installed

demo: $(VENV)/installed
	$(BIN)/python make_phantom_dataset.py --output demo/dataset --number 50
	$(BIN)/python train_covid19.py --dataset demo/dataset --plot demo/plot.png --model demo/covid19.model.h5
	@echo
	@echo "Made: demo/dataset (100 phantoms), demo/plot.png (how training went), demo/evaluation.png (what it reached),"
	@echo "      demo/covid19.model.h5 (the model), demo/covid19.json (all of it in numbers)."
	@echo "Next: build the real data set, as README.md says under \"The real data\", and train on it."

test: $(VENV)/installed-dev
	$(BIN)/python -m pytest

lint: $(VENV)/installed-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

format: $(VENV)/installed-dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(VENV)/installed
	PYTHONPATH=. $(BIN)/python bench/speed.py

bench-scale: $(VENV)/installed
	PYTHONPATH=. $(BIN)/python bench/scale.py

clean:
	rm -rf $(VENV) demo audit .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
