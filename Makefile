# `make demo` and `make test` work in a fresh clone: they make their own environment in .venv first, once.
# PYTHON: the interpreter to make it with (3.11 or later). VENV: where it goes.
PYTHON ?= $(firstword $(foreach p,python3.12 python3.11 python3,$(shell $(p) -c 'import sys; sys.version_info >= (3, 11) and print("$(p)")' 2>/dev/null)))
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.ready
DEMO_CLIP ?= sample_videos/flight.mp4
DEMO_QUALITY ?= 50
DEMO_OUT := runs/demo
BENCH_OUT := runs/bench
# Few enough for about five minutes on two cores; `stpcodec bench CLIPS` without options measures everything.
BENCH_OPTIONS ?= --frames 25 --qualities 20,50,80
MINUTES ?= 10
SEED ?= 1
GUIDED ?= 0
# Processes of the test suite, each with one torch thread (tests/conftest.py). 0: none but pytest itself, to debug.
TEST_JOBS ?= 2
TARGET ?= all

# torch is pinned and installed before the package, so that the package's open range does not fetch another
# (on Linux: CUDA) build over the one that pip was pointed at.
TORCH ?= torch==2.13.0

.DEFAULT_GOAL := help
.PHONY: help setup demo bench test lint fuzz clean

help:
	@echo "make demo   encode and decode a sample clip, print sizes, bits per pixel, PSNR and times"
	@echo "make bench  our models against other codecs on sample_videos: $(BENCH_OUT)/report.html, about 5 minutes"
	@echo "make test   the test suite, in TEST_JOBS=$(TEST_JOBS) processes; \`pytest\` alone works too"
	@echo "make lint   ruff and mypy"
	@echo "make fuzz   seeded mutations of .stp files against all readers, MINUTES=$(MINUTES); GUIDED=1: by coverage"
	@echo "make setup  only the environment ($(VENV))"
	@echo "make clean  remove $(DEMO_OUT), $(BENCH_OUT) and caches (not $(VENV))"

setup: $(STAMP)

# The stamp is written last: an interrupted set-up starts again instead of leaving half an environment.
$(STAMP): pyproject.toml
	@test -n "$(PYTHON)" || { echo "no Python >= 3.11 found: set PYTHON=/path/to/python3"; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "pip>=24"
	$(BIN)/python -m pip install --quiet "$(TORCH)"
	$(BIN)/python -m pip install --quiet --editable ".[dev]"
	@touch $@

demo: $(STAMP)
	@mkdir -p $(DEMO_OUT)
	$(BIN)/stpcodec encode $(DEMO_CLIP) $(DEMO_OUT)/demo.stp --quality $(DEMO_QUALITY) --verify --overwrite
	$(BIN)/stpcodec info $(DEMO_OUT)/demo.stp
	$(BIN)/stpcodec decode $(DEMO_OUT)/demo.stp $(DEMO_OUT)/demo.mp4 --overwrite
	@ls -l $(DEMO_CLIP) $(DEMO_OUT)/demo.stp $(DEMO_OUT)/demo.mp4

bench: $(STAMP)
	$(BIN)/stpcodec bench sample_videos --out $(BENCH_OUT) $(BENCH_OPTIONS)

test: $(STAMP)
	$(BIN)/python -m tests.compile_kernels
	$(BIN)/python -m pytest -n $(TEST_JOBS) --dist worksteal

lint: $(STAMP)
	$(BIN)/ruff check stpcodec tests sample_videos
	$(BIN)/mypy

# What it finds is kept in runs/fuzz; SEED=n makes another campaign. GUIDED=1: MINUTES of coverage-guided fuzzing for each
# target, or for TARGET alone; needs `$(BIN)/pip install '.[fuzz]'`.
fuzz: $(STAMP)
ifeq ($(GUIDED),1)
	$(BIN)/python -m tests.fuzz.guided $(TARGET) --minutes $(MINUTES)
else
	$(BIN)/python -m tests.fuzz --minutes $(MINUTES) --seed $(SEED)
endif

clean:
	rm -rf $(DEMO_OUT) $(BENCH_OUT) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
