# make setup | run | demo | quick | test | messages | crash-test | quota-test | fault-test | mutation-test. All make .venv first, with nothing but Python 3.11+ and the package registry.
PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
STAMP := $(VENV)/.pastel-installed

.PHONY: setup run demo quick test lint messages crash-test quota-test fault-test mutation-test clean

setup: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Pastel needs Python 3.11 or newer; try: make $(MAKECMDGOALS) PYTHON=python3.11")'
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 14) and print("Pastel is tested on Python 3.11 to 3.13. If a package does not install on this one, try: make $(MAKECMDGOALS) PYTHON=python3.13", file=sys.stderr)'
	@$(PYTHON) -c 'import sys; sys.version_info[:3] == (3, 13, 0) and print("Python 3.13.0 draws with compiled models (COMPILE) slower than 3.13.1 does. Everything else is the same.", file=sys.stderr)'
	$(PYTHON) -m venv $(VENV)
	$(PY) -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[demo,dev]'
	@touch $@

run: setup
	$(PY) -m bot run

demo: setup
	@$(PY) -m bot demo

test: lint
	$(PY) -m pytest -n 3 --dist worksteal --durations=15

# While you work: what needs no torch (an import of it fails here), no process of its own and no long search; under a minute.
quick: setup
	$(PY) -m pytest -n 2 --dist worksteal -p tests.without_torch --hypothesis-profile=quick \
		-m 'not campaign and not gpu and not slow' tests/domain tests/services tests/storage tests/chat tests/meta tests/test_messages.py tests/test_settings.py

# Brings the message catalogues up to date and lists what is not translated yet.
messages: setup
	$(PY) -m tests.locales.catalogues

lint: setup
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/basedpyright
	$(VENV)/bin/lint-imports

# The campaigns of `make test` at full length: a thousand SIGKILLs of the bot, a thousand of the storage, cut logs; about 20 minutes.
crash-test: setup
	$(PY) -m pytest tests/process tests/storage -m campaign -n 2 --override-ini timeout=0

# The economy of `make test` at full length: 5,000 members racing for credits, 2,000 random histories of 50 steps; about 10 minutes.
quota-test: setup
	$(PY) -m pytest tests/economy -m campaign -n 2 --override-ini timeout=0

# The injected faults of `make test` at full length, each kind twenty times: memory, numbers, bugs, files, a lost device; about 15 minutes.
fault-test: setup
	$(PY) -m pytest tests/faults -m campaign -n 2 --override-ini timeout=0

# Prices, purses, turns and rights: every branch is run, and at least 90 % of what mutmut breaks there makes a test fail; 5 minutes.
mutation-test: setup
	$(PY) -m coverage run -m pytest tests/domain tests/services/test_gate.py tests/storage -p no:cacheprovider
	$(PY) -m coverage report
	rm -rf mutants && $(PY) -m mutmut run --max-children 2
	$(PY) -m mutmut results
	$(PY) -m mutmut export-cicd-stats
	$(PY) -c 'import json; s = json.load(open("mutants/mutmut-cicd-stats.json")); print(s); assert s["killed"] >= 0.9 * s["total"], "under 90 %"'

clean:
	rm -rf $(VENV) build mutants .coverage *.egg-info
