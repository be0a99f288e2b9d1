# Everything starts from a clone: each target sets up what it needs (tools/setup.sh) and nothing twice.
.DEFAULT_GOAL := help
.PHONY: help setup demo up down test check test-system test-chaos test-openstack bench lock env clean

BIN := .venv/bin
SHELL_FILES = $(shell git ls-files '*.sh' .ci/run 'src/imagesmith/sandbox/guest/*' | grep -v service)
# What a killed process leaves is missed within half a minute, and many builds are held when it is killed: a matter of
# the test's own time.
KILLS_COME_OFTEN = AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT=20 AIRFLOW__CORE__PARALLELISM=12 \
    AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_THRESHOLD=25 AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL=5

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1|/p' $(MAKEFILE_LIST) | awk -F'|' '{printf "  make %-15s %s\n", $$1, $$2}'

demo: ## build the example on the sandbox's clouds (CLOUDS=ec2: only there), from nothing to images; UI and sandbox stay up
	@tools/setup.sh sandbox
	@$(BIN)/imagesmith demo --clouds "$(CLOUDS)"

up: ## start the sandbox cloud and Airflow
	@tools/setup.sh sandbox
	@$(BIN)/imagesmith sandbox up
	@$(BIN)/imagesmith airflow up

down: ## end both; what was built stays
	@[ ! -x $(BIN)/imagesmith ] || { $(BIN)/imagesmith airflow down; $(BIN)/imagesmith sandbox down; }

test: ## the tests that need no virtual machine
	@tools/setup.sh browser
	@$(BIN)/pytest -q -n 4 --dist worksteal $(ARGS)

check: ## linters, types, import borders, shell scripts, the compose file
	@tools/setup.sh check
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy src plugins dags bench
	$(BIN)/lint-imports --no-cache
	shellcheck $(SHELL_FILES)
	@tools/check_compose.sh

test-system: ## the tests with real virtual machines, on two cores side by side
	@tools/setup.sh sandbox peers
	@$(BIN)/pytest -q -n 2 --dist loadgroup -m system $(ARGS)

test-chaos: ## the kill matrix (every step, at five instants, eight victims), and a hundred builds on unreliable clouds
	@tools/setup.sh sandbox
	@$(KILLS_COME_OFTEN) $(BIN)/pytest -q -s -m chaos $(ARGS)

test-openstack: ## the driver's contract and a whole build on a real OpenStack: OS_CLOUD, or one that OPENSTACK_SCRIPTS brings up
	@tools/setup.sh
	@$(BIN)/pytest -q -m openstack $(ARGS)

bench: ## times and memory, side by side with a hand-written sequence and Packer
	@tools/setup.sh sandbox peers
	@$(BIN)/python -m bench $(ARGS)

setup: ## only the set-up
	@tools/setup.sh

lock: ## pin the newest versions that pyproject.toml allows
	@tools/lock.sh

env: ## write .env with fresh secrets for docker-compose, unless there is one
	@tools/write_env.sh

clean: down ## end everything and remove what was set up and built
	rm -rf .venv .imagesmith .mypy_cache .ruff_cache .pytest_cache
