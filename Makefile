# `make demo` and `make test` are all that a newcomer needs; both install what they use into .venv first.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test coverage browser ray dicom notebook lint format bench bench-scale bench-audit bench-rules bench-cluster bench-lungs bench-duplicates lungs fault-injection audit-deps lock clean help

help:
	@echo '  make demo             a model that is always right, and useless: demo/'
	@echo '  make test             install, run the tests (about six minutes)'
	@echo '  make notebook         run the lesson into lesson/ (five minutes)'
	@echo '  make clean            remove what make and the scripts made here, not dataset/'
	@echo
	@echo 'Development'
	@echo '  make lint             check format, style, types and imports'
	@echo '  make format           fix format and style'
	@echo '  make coverage         run the tests, list the lines that none of them runs'
	@echo '  make browser          install what the tests of the HTML reports need'
	@echo '  make ray              install what --ray needs (docs/engineering.md)'
	@echo '  make dicom            install the decoders of compressed DICOM'
	@echo '  make lock             pin every dependency with its digest'
	@echo '  make audit-deps       look up every dependency in the advisory database'
	@echo '  make fault-injection  disturb every script, 890 times (two hours;'
	@echo '                        ARGS="--share 0.01" for less)'
	@echo
	@echo 'Measurements'
	@echo '  make bench            speed against the loop of the tutorial (ARGS="--dataset DIR")'
	@echo '  make bench-scale      memory and time of 50 to 5,000 images, distinct and copies'
	@echo '  make bench-audit      injected shortcuts that the audit detects (hours;'
	@echo '                        ARGS="--share 0.1" for less)'
	@echo '  make bench-rules      how often each conclusion is right, simulated (six minutes)'
	@echo '  make bench-lungs      accuracy of the lung masks (twenty minutes; ARGS="--masks DIR")'
	@echo '  make bench-duplicates near duplicates found (ARGS="DIR …")'
	@echo '  make bench-cluster    three Ray nodes against a plain run (15 minutes)'
	@echo '  make lungs            fit the lung decoder anew (ten minutes; ARGS="--masks DIR")'

# A stamp for each requirements file: nothing is installed twice, and everything again when a pin changes.
$(BIN)/python:
	@$(PYTHON) -c 'import sys; (3, 10) <= sys.version_info < (3, 14) or sys.exit("Python 3.10 to 3.13 is needed; say which: make PYTHON=python3.12")'
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || { echo "$(PYTHON) cannot make virtual environments: install python3-venv"; exit 1; }
	$(PYTHON) -m venv $(VENV)

# Installed is what the lock files say, down to the last dependency, and only what has the digest that stands there.
# Nothing is resolved (--no-deps): pip before 24.1 would look for the newest release of what is asked for with an extra,
# as pytest-cov asks for coverage[toml], and reject the locked one.
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r

$(VENV)/installed: requirements.lock | $(BIN)/python
	@echo "Installing TensorFlow, scikit-learn and what they need into $(VENV): 2.8 GB, one to five minutes ..."
	$(INSTALL) requirements.lock
	@touch $@

$(VENV)/installed-dev: requirements/dev.lock | $(BIN)/python
	$(INSTALL) requirements/dev.lock
	@touch $@ $(VENV)/installed

$(VENV)/installed-browser: requirements/browser.lock requirements/package-lock.json | $(BIN)/python
	$(INSTALL) requirements/browser.lock
	npm ci --silent --no-audit --no-fund --prefix requirements
	@touch $@ $(VENV)/installed-dev $(VENV)/installed

$(VENV)/installed-notebook: requirements/notebook.lock | $(BIN)/python
	$(INSTALL) requirements/notebook.lock
	@touch $@ $(VENV)/installed

$(VENV)/installed-ray: requirements/ray.lock | $(BIN)/python
	$(INSTALL) requirements/ray.lock
	@touch $@ $(VENV)/installed

$(VENV)/installed-dicom: requirements/dicom.lock | $(BIN)/python
	$(INSTALL) requirements/dicom.lock
	@touch $@ $(VENV)/installed

$(VENV)/installed-tools: requirements/tools.lock | $(BIN)/python
	$(INSTALL) requirements/tools.lock
	@touch $@ $(VENV)/installed-dev $(VENV)/installed

demo: $(VENV)/installed
	@$(BIN)/python -m tools.demo

test: $(VENV)/installed-dev
	$(BIN)/python -m pytest

coverage: $(VENV)/installed-dev
	$(BIN)/python -m pytest --cov --cov-report=term-missing:skip-covered

browser: $(VENV)/installed-browser
	@command -v chromium chromium-browser google-chrome >/dev/null || { echo "now install a browser: apt-get install chromium"; exit 1; }

ray: $(VENV)/installed-ray

dicom: $(VENV)/installed-dicom

notebook: $(VENV)/installed-notebook
	$(BIN)/jupyter nbconvert --to notebook --execute tutorial.ipynb --output-dir lesson --output tutorial
	@echo "Done. Open lesson/tutorial.ipynb; what it wrote is in lesson/, too"

lint: $(VENV)/installed-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --config pyproject.toml --no-cache

format: $(VENV)/installed-dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(VENV)/installed
	$(BIN)/python -m tools.benchmarks.speed $(ARGS)

bench-scale: $(VENV)/installed
	$(BIN)/python -m tools.benchmarks.scale $(ARGS)

bench-rules: $(VENV)/installed
	$(BIN)/python -m tools.benchmarks.rules $(ARGS)

bench-audit: $(VENV)/installed
	$(BIN)/python -m tools.benchmarks.audit $(ARGS)

bench-cluster: $(VENV)/installed-ray
	$(BIN)/python -m tools.benchmarks.cluster $(ARGS)

# Without oneDNN, which TensorFlow leaves out on some processors, it cannot fit what the decoder has: dilated kernels.
FIT := TF_ENABLE_ONEDNN_OPTS=1 $(BIN)/python -m tools.lung_decoder.fit

bench-lungs: $(VENV)/installed
	$(FIT) --measure $(ARGS)

bench-duplicates: $(VENV)/installed
	$(BIN)/python -m tools.benchmarks.duplicates $(ARGS)

lungs: $(VENV)/installed
	$(FIT) $(ARGS)

fault-injection: $(VENV)/installed
	$(BIN)/python -m tools.fault_injection $(ARGS)

# --strict: a dependency that cannot be looked up fails.
audit-deps: $(VENV)/installed-tools
	$(BIN)/pip-audit --strict --disable-pip --require-hashes -r requirements/tools.lock

LOCK := $(BIN)/uv pip compile --quiet --universal --generate-hashes --python-version 3.10 --no-emit-index-url --no-header

lock: $(VENV)/installed-tools
	for name in requirements requirements/dev requirements/browser requirements/dicom requirements/notebook requirements/ray requirements/tools; do $(LOCK) $$name.txt --output-file $$name.lock || exit 1; done

clean:
	rm -rf $(VENV) demo audit lesson build dist *.egg-info .coverage requirements/node_modules .pytest_cache .ruff_cache .mypy_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
