# Everything happens in .venv, by relative paths, so the checkout's directory may have blanks and quotes in its name.
.PHONY: help setup run stop test e2e faults audit mutants bench lint types contracts check FORCE

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.stamp
SUPPORTED := import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))
# The interpreter for the environment: make PYTHON=/path/to/python3.12
PYTHON ?= $(shell for name in python3 python3.13 python3.12 python3.11; do \
	"$$name" -c '$(SUPPORTED)' 2>/dev/null && echo "$$name" && break; done)
# Two OpenBLAS threads on shared cores ran five to seven times slower than one.
export OPENBLAS_NUM_THREADS := 1

help:
	@echo 'make run [DETACH=1]  start everything; make stop  end it; make test  lint, types, contracts and tests'
	@echo 'make bench [SUBJECTS="engine store"]  measure, and write benchmarks/results.json'
	@echo 'make faults [SEED=1]  the fault campaign: kills, restarts, bad vendors, bad requests'
	@echo 'make audit  known vulnerabilities of the pinned packages, and that nothing else is installed'
	@echo 'make mutants [MODULES="ledger money"]  change the mathematics and the gate, and see that tests notice'
	@echo 'make e2e [ALL=1]  whole nights with the real services, and the pages in Chromium'

setup: $(STAMP)

# A checkout that was moved needs its environment made again.
ifneq ($(shell cat $(STAMP) 2>/dev/null),$(shell pwd))
$(STAMP): FORCE
endif

$(STAMP): requirements.lock pyproject.toml
	@sh .ci/setup '$(PYTHON)' '$(VENV)'
	@pwd > $(STAMP)

run: setup
	@$(BIN)/sigmasight up $(if $(filter-out 0 no,$(DETACH)),--detach)

stop:
	@if [ -x $(BIN)/sigmasight ]; then $(BIN)/sigmasight down; else echo 'Nothing was running.'; fi

lint: setup
	$(BIN)/ruff check
	$(BIN)/ruff format --check

types: setup
	$(BIN)/mypy

contracts: setup
	$(BIN)/lint-imports --config setup.cfg

check: lint types contracts

# In three parts side by side, each with a database server of its own: most tests wait for one or for a process.
NIGHTS := tests/orchestration tests/operations
API := tests/api
PYTEST := $(BIN)/pytest -p no:cacheprovider --durations=20 --durations-min=2
test: check
	@$(PYTEST) $(NIGHTS) > $(VENV)/nights.log 2>&1 & nights=$$!; \
	$(PYTEST) $(API) > $(VENV)/api.log 2>&1 & api=$$!; \
	$(PYTEST) $(NIGHTS:%=--ignore=%) $(API:%=--ignore=%); rest=$$?; \
	wait $$api; of_api=$$?; cat $(VENV)/api.log; \
	wait $$nights; of_nights=$$?; cat $(VENV)/nights.log; \
	test $$rest -eq 0 && test $$of_api -eq 0 && test $$of_nights -eq 0

# Minutes, not seconds: every scenario waits for the real daemon. All of them take ten. The pages beside them, in a
# browser and on a demo of their own; Ctrl-C waits until both have stopped their services.
E2E = $(if $(filter-out 0 no,$(ALL)),e2e,e2e and not long)
e2e: setup
	@trap : INT; $(PYTEST) -m '$(E2E)' tests/browser > $(VENV)/browser.log 2>&1 & browser=$$!; \
	$(PYTEST) -m '$(E2E)' tests/e2e tests/celery tests/kubernetes; of_nights=$$?; \
	wait $$browser; of_pages=$$?; cat $(VENV)/browser.log; \
	test $$of_nights -eq 0 && test $$of_pages -eq 0

# All faults of the list; the same SEED tries the same ones.
SEED := 1
FAULTS := tests/faults/results.json
faults: setup
	@rm -f $(FAULTS); \
	$(PYTEST) -m fault --hypothesis-seed=$(SEED) --fault-seed=$(SEED) --fault-results=$(FAULTS) tests; passed=$$?; \
	$(BIN)/python -m tests.faults.report $(FAULTS) && test $$passed -eq 0

# What cannot be asked without a network is said to be not audited, and does not fail it.
audit: setup
	@$(BIN)/python .ci/audit.py

# Up to an hour; what was found is kept in .venv/mutants.jsonl, so a run that was stopped goes on. FRESH=1 forgets it,
# REPORT=1 only prints it.
MUTATION := $(VENV)/mutation
mutants: setup
	@$(BIN)/python -m uv pip install --quiet --no-deps --target $(MUTATION) -r tests/mutation/requirements.txt
	PYTHONPATH=$(MUTATION) $(BIN)/python -m tests.mutation $(MODULES) $(if $(filter-out 0 no,$(FRESH)),--fresh) \
		$(if $(filter-out 0 no,$(REPORT)),--report)

# What is compared with lives apart from what is used.
CONTENDERS := $(VENV)/contenders
bench: setup
	@$(BIN)/python -m uv pip install --quiet --no-deps --target $(CONTENDERS) -r benchmarks/requirements.txt
	$(BIN)/python -m benchmarks $(SUBJECTS)
