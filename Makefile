# Everything Inset needs is installed into this checkout; Python 3.11 and make are all that must be there.
PYTHON ?= python3
BIN := .venv/bin
# How many tests run at a time: on two processors two that compute, and one that mostly waits (tests/support/scheduler.py).
WORKERS ?= 3
# Where it is set, as in many images of Python, each of the processes that are started compiles all of Inset anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help run up down test test-sdk checked images check soak bench bench-bridges bench-check bench-requests bench-sessions bench-story bench-users docs lint openapi

help:  ## what there is
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/'

run:  ## install, start hub, service and demo, print one URL
	@$(PYTHON) dev/install.py run
	@exec $(BIN)/python dev/stack.py

up:  ## build and start all of it in containers, wait until all is well, print one URL
	@$(PYTHON) dev/compose.py up

down:  ## save and stop what make up started; data and secrets stay
	@$(PYTHON) dev/compose.py down

test:  ## install, and run all tests against real parts
	@$(PYTHON) dev/install.py environment
	@$(MAKE) --no-print-directory -j 3 checked images
	@$(BIN)/python -m pytest -n $(WORKERS)

check:  ## format, lint, types, imports, fast tests
	@$(PYTHON) dev/install.py test
	@$(BIN)/ruff format --quiet .
	@$(MAKE) --no-print-directory -j 2 lint test-sdk
	@$(BIN)/python -m pytest -q -x tests/house tests/service/test_callers.py tests/service/test_notebooks.py

soak:  ## the long form: services and servers killed during thousands of saves, users with kernels, a thousand sessions, frames opened fifty times
	@$(PYTHON) dev/install.py test
	@INSET_FRAME_ROUNDS=$${INSET_FRAME_ROUNDS:-50} INSET_FAULT_SAVES=$${INSET_FAULT_SAVES:-1000} INSET_FAULT_KILLS=$${INSET_FAULT_KILLS:-30} \
		INSET_MODEL_EXAMPLES=$${INSET_MODEL_EXAMPLES:-300} INSET_LOAD_USERS=$${INSET_LOAD_USERS:-20} \
		INSET_LOAD_USERS_SAVES=$${INSET_LOAD_USERS_SAVES:-20} INSET_LOAD_SESSIONS=$${INSET_LOAD_SESSIONS:-1000} \
		$(BIN)/python -m pytest -q --timeout 3600 tests/faults tests/load tests/service/test_store_model.py tests/security/test_users.py
	@$(PYTHON) dev/docker_engine.py
	@INSET_CHAOS=long $(BIN)/python -m pytest -q --timeout 3600 tests/docker/test_survival.py

bench:  ## measure the notebook store beside jupyter_server and git; writes docs/store-benchmark.md
	@$(PYTHON) dev/install.py test
	@$(BIN)/python -m benchmarks.store $(if $(CORPUS),--corpus $(CORPUS))

bench-bridges:  ## measure two replicas with a hundred servers' worth of their bridges' traffic; prints tables
	@$(PYTHON) dev/install.py test
	@$(BIN)/python -m benchmarks.bridges

bench-check:  ## fail if a request takes more calls of Python functions than in the last release; in the tests too
	@$(PYTHON) dev/install.py test
	@$(BIN)/python -m benchmarks.check

bench-requests:  ## measure what the service's own path takes beside a trivial FastAPI app; writes docs/requests-benchmark.md
	@$(PYTHON) dev/install.py test
	@$(BIN)/python -m benchmarks.request_path

bench-sessions:  ## measure two replicas with 10, 100 and 1,000 sessions on PostgreSQL and a real hub; writes them into docs/load.md
	@$(PYTHON) dev/install.py test
	@$(BIN)/python -m benchmarks.sessions --report docs/load.md

bench-story:  ## measure the story from the click to the first result; writes docs/story-benchmark.md
	@$(PYTHON) dev/install.py test
	@PYTHONPATH=dev $(BIN)/python -m benchmarks.story $(if $(ROUNDS),--rounds $(ROUNDS))

bench-users:  ## have users with real servers and kernels work, until the machine is full; prints a table
	@$(PYTHON) dev/install.py test
	@$(BIN)/python -m benchmarks.users $(if $(USERS),--most $(USERS))

docs:  ## build the documentation's site into .artifacts/site
	@$(PYTHON) dev/documentation.py build

checked:
	@$(PYTHON) dev/install.py test
	@$(MAKE) --no-print-directory lint test-sdk

images:
	@$(PYTHON) dev/docker_engine.py
	@PYTHONPATH=dev $(BIN)/python -m tests.docker.images

test-sdk:
	@$(PYTHON) dev/node.py npm frontend-snippet --silent test

lint:
	@$(BIN)/ruff format --check --quiet . || { echo "Run make check: it formats."; exit 1; }
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy
	@$(PYTHON) dev/node.py npm frontend-snippet --silent run check

openapi:  ## write the API's description anew
	@$(BIN)/inset openapi > docs/openapi.json
