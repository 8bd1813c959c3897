# Two commands for people: `make ask Q="…"` and `make test`. Both set up all they need in .venv first.
PYTHON ?= python3
Q ?= What does an AI architect do?
VENV := .venv
BIN := $(VENV)/bin
INSTALL := $(BIN)/python -m uv pip install --quiet --python $(BIN)/python
# A machine without an NVIDIA GPU gets torch without CUDA: from what pip is configured with, else from PyTorch.
TORCH := $(if $(shell nvidia-smi -L 2>/dev/null),gpu,cpu)
PYTORCH_CPU := https://download.pytorch.org/whl/cpu
export Q
# Without cached bytecode every command would compile what it imports anew: half of a cold answer's time.
unexport PYTHONDONTWRITEBYTECODE
# Copies, since nltk (behind llama-index) refuses to read its data from hard links into a cache.
export UV_LINK_MODE := copy
export UV_FIND_LINKS ?= $(PIP_FIND_LINKS)

.PHONY: ask ingest ui test check lint bench lock clean
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

$(VENV)/.ready: requirements/base.txt requirements/$(TORCH).txt pyproject.toml
	@echo "setting up $(VENV) ($(TORCH)); the first time takes a minute or more" >&2
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=/path/to/python3.11 ask")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/uv.txt
	@$(INSTALL) --require-hashes --no-deps -r requirements/$(TORCH).txt 2>/dev/null \
		|| $(INSTALL) --require-hashes --no-deps -r requirements/$(TORCH).txt \
			$(if $(filter cpu,$(TORCH)),--index $(PYTORCH_CPU) --index-strategy unsafe-best-match)
	@$(INSTALL) --require-hashes --no-deps -r requirements/base.txt
	@$(INSTALL) --no-deps --no-build-isolation --config-settings editable_mode=compat --editable .
	@touch $@

$(VENV)/.tested: $(VENV)/.ready requirements/dev.txt
	@$(INSTALL) --require-hashes --no-deps -r requirements/dev.txt
	@touch $@

lock: $(VENV)/.ready
	$(BIN)/python requirements/lock.py

clean:
	rm -rf $(VENV) build *.egg-info
