# Every target sets up what it needs on first use: .tools holds uv, .venv everything else.

PYTHON ?= python3
DATASET ?=
HOST ?= 127.0.0.1
GRPC_PORT ?= 8001
HTTP_PORT ?= 8000
METRICS_PORT ?= 8002

UV := .tools/bin/uv
BIN := .venv/bin
READY := .venv/.ready

.DEFAULT_GOAL := help
.PHONY: help demo serve stop test lint format lock clean

help: ## show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 20
	@echo "Variables: DATASET (a dataset folder for demo), HOST, GRPC_PORT, HTTP_PORT, METRICS_PORT, PYTHON"

demo: $(READY) ## train on DATASET (default: a generated sample), export, publish, and ask a Triton server
	@$(BIN)/python demo.py $(if $(DATASET),--dataset_dir "$(DATASET)")

serve: $(READY) ## serve model_repository with Triton in the foreground
	@$(BIN)/python -m serving.triton --host $(HOST) --grpc_port $(GRPC_PORT) --http_port $(HTTP_PORT) \
		--metrics_port $(METRICS_PORT)

stop: $(READY) ## stop what serve started
	@$(BIN)/python -m serving.stop

test: $(READY) ## run the tests, a real Triton server among them
	@$(BIN)/python -m pytest

lint: $(READY) ## check style and types
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

format: $(READY) ## format the code
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

lock: $(UV) ## compile the requirements locks anew
	cd requirements && for name in uv main; do \
		../$(UV) pip compile $$name.in --universal --python-version 3.10 --generate-hashes \
			--exclude-newer 2025-09-15 --custom-compile-command "make lock" --quiet --output-file $$name.txt; \
	done

clean: ## remove the environments and everything built
	rm -rf .tools .venv build

$(UV): requirements/uv.txt
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 12))' || { \
		echo "error: $(PYTHON) is $$($(PYTHON) --version 2>&1); Python 3.10, 3.11 or 3.12 is needed:" \
			"make PYTHON=python3.11 ..." >&2; exit 3; }
	@echo "setting up .tools (uv)" >&2
	@$(PYTHON) -m venv --clear .tools
	@.tools/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/uv.txt
	@touch $(UV)

# The marker is written last, so that an interrupted set-up starts anew.
$(READY): requirements/main.txt pyproject.toml | $(UV)
	@echo "setting up .venv; the first time takes a minute or two" >&2
	@test -x $(BIN)/python || $(UV) venv --quiet --python "$$(.tools/bin/python -c 'import sys; print(sys._base_executable)')" .venv
	@VIRTUAL_ENV=.venv $(UV) pip sync --quiet --require-hashes requirements/main.txt
	@VIRTUAL_ENV=.venv $(UV) pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $(READY)
