# `make demo` and `make test` work from a fresh clone; every target is one short line of what it does.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# One pass over the index: torch first and pinned, so that nothing else pulls another build of it.
READY := $(VENV)/.ready

.PHONY: setup fmt check test test-gpu demo bench build formats clean

setup: $(READY)

$(READY): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt torch
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[lab,dev]'
	touch $@

fmt: $(READY)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

check: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test: check
	$(BIN)/python -m pytest

test-gpu: $(READY)
	SVMV_REQUIRE_GPU=1 $(BIN)/python -m pytest -m gpu

demo: $(READY)
	$(BIN)/python examples/make_clip.py demo/in.mp4
	$(BIN)/svmv upsample demo/in.mp4 -o demo/out.mp4 --factor 4 --overwrite
	$(BIN)/python examples/side_by_side.py demo/in.mp4 demo/out.mp4 demo/side-by-side.png

bench: $(READY)
	$(BIN)/python -m benchmarks.network --sizes 480p,720p
	$(BIN)/python -m benchmarks.pipeline
	$(BIN)/python -m benchmarks.against

build: $(READY)
	$(BIN)/python -m pip wheel --quiet --no-deps --wheel-dir dist .

formats: $(READY)
	$(BIN)/python -m tests.formats > docs/formats.md.new
	mv docs/formats.md.new docs/formats.md

clean:
	rm -rf $(VENV) demo dist build
