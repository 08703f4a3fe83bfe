# Commands of moviegen-edit; `make help` lists them. Longer things are scripts in bin/.

PYTHON ?= $(or $(shell command -v python3.11 2>/dev/null),python3)
TORCH_INDEX ?=
PREFECT_PORT ?= 4210
MLFLOW_PORT ?= 5210
STATE ?= .
TEST_PROCESSES ?= 2
P ?=
export PYTHON TORCH_INDEX PREFECT_PORT MLFLOW_PORT STATE

RUN := bin/with-env

.PHONY: help preflight env data demo preset name-given test check up down clean-state

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1	\2/p' $(firstword $(MAKEFILE_LIST))

preflight: ## say what this machine lacks
	@bin/preflight

env: preflight ## build .venv (TORCH_INDEX=URL: an extra index for torch wheels)
	@bin/build-env

data: env ## bring data and weights
	@bin/pull-data

demo: data ## everything from raw data to edited videos [P=PRESET]
	@$(if $(P),$(RUN) python -m flows.presets $(P))
	@$(RUN) bin/demo

preset: name-given env ## write a preset into params.yaml: P=NAME
	@$(RUN) python -m flows.presets $(P)

name-given:
	@[ -n "$(P)" ] || { echo "moviegen-edit: say which preset: make preset P=NAME" >&2; exit 1; }

# A file stays in one process, for the chain that it shares; several processes of several threads wait for one another.
test: data ## the test suite on CPU [TEST_PROCESSES=0: in one process]
	@$(if $(filter-out 0,$(TEST_PROCESSES)),OMP_NUM_THREADS=1) $(RUN) pytest -n $(TEST_PROCESSES) --dist loadfile

check: env ## format, lint, types, architecture
	@$(RUN) ruff format --check .
	@$(RUN) ruff check .
	@$(RUN) mypy
	@$(RUN) pytest tests/test_architecture.py

up: data ## Prefect server, worker, deployments and MLflow on loopback [STATE=var/deploy]
	@$(RUN) bin/up

down: ## stop what demo and up left running
	@$(RUN) bin/down

clean-state: ## throw away everything computed (YES=1): store, models, outputs, server history
	@$(if $(filter 1,$(YES)),,$(error this deletes store mlflow outputs checkpoints var .prefect: say YES=1))
	@$(RUN) bin/down
	rm -rf store mlflow outputs checkpoints var .prefect
