# The only command list. A machine needs Python 3.11 or newer, pip and make; the rest goes into .venv.
.DEFAULT_GOAL := help
.PHONY: help venv demo test lint types docs conformance conformance-exhaustive atlas models results browser outsiders arm bench assets clean
MAKEFLAGS += --no-print-directory

# The first interpreter that runs and is new enough; say `make PYTHON=...` to choose another.
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11 python; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
BIN := .venv/bin
PROJECTS := pyproject.toml runtime/pyproject.toml conformance/pyproject.toml
SOURCES := refquant runtime/refquant_runtime conformance/refquant_conformance
PIP = $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
# Debian splits ensurepip off: there, the pip that is installed puts one into the environment.
new_environment = test -n "$(PYTHON)" || { echo "make: no Python 3.11 or newer found; install one, or say make PYTHON=/path/to/python" >&2; exit 1; }; \
	echo "making $(1) with $$($(PYTHON) --version); this takes $(2)" >&2; \
	test -x $(1)/bin/python || $(PYTHON) -m venv $(1) >/dev/null 2>&1 || { rm -rf $(1); \
	$(PYTHON) -m venv --without-pip $(1) && $(PYTHON) -m pip --python $(1)/bin/python install --quiet pip; }
# Derandomized: the same examples every time. HYPOTHESIS_PROFILE=dev or nightly searches.
PROFILE = HYPOTHESIS_PROFILE=$${HYPOTHESIS_PROFILE:-ci}
WORKERS ?= 2

help: ## this list
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/\1|\2/p' Makefile | awk -F'|' '{ printf "make %-22s %s\n", $$1, $$2 }'

venv: .venv/.made ## .venv with all that `make test` needs, at the versions of constraints.txt

.venv/.made: $(PROJECTS) constraints.txt
	@$(call new_environment,.venv,a minute or two)
	@$(PIP) -e '.[dev]' -e runtime -e conformance
	@touch $@

.venv/.made-docs: .venv/.made
	@$(PIP) -e '.[docs]'
	@touch $@

demo: venv ## the main job: quantize a small CNN in seven ways, run each in the runtime, compare bit for bit
	@$(BIN)/refquant demo

test: venv lint types ## everything: tests, doctests, README and docs code blocks, ruff, mypy, import contracts
	$(PROFILE) $(BIN)/python -m pytest -q -n $(WORKERS) --dist loadfile --max-worker-restart 1

lint: venv ## ruff and the import contracts
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/lint-imports --no-logo

types: venv ## mypy, strict
	$(BIN)/mypy

docs: .venv/.made-docs ## the site, in docs/_build/html; warnings are errors
	$(BIN)/sphinx-build -W --keep-going -q -b html docs docs/_build/html
	@echo "docs/_build/html/index.html"

# Whoever is installed is judged: in .venv-outsiders, where `make outsiders` has made it, else in .venv.
JUDGE := $(if $(wildcard .venv-outsiders/.made),.venv-outsiders/bin/python,$(BIN)/python)
BACKENDS ?=
conformance: venv ## exhaustive tests, the kill matrix, every installed backend judged; a page in reports/
	$(PROFILE) $(BIN)/python -m pytest -q -n $(WORKERS) -m slow tests
	$(BIN)/python -m refquant_conformance mutants --seeds 3 --matrix --jobs $(WORKERS) --page docs/kill_matrix.md
	$(JUDGE) examples/conformance/judge_all.py --reports reports --findings docs/findings.md $(BACKENDS)

conformance-exhaustive: venv ## all 2^32 float32 into each 8-bit float, against the exact oracle; hours, resumable
	$(BIN)/python -m refquant_conformance.sweep --state .sweep-state.json --workers $(WORKERS)

atlas: venv ## the tables of docs/concepts/atlas.md, after a change of a contract
	$(BIN)/python -m refquant.atlas.page docs/concepts/atlas.md

models: venv ## tests on real models, which it fetches first; then what docs/concepts/results.md lacks
	@$(BIN)/python examples/assets/fetch.py smollm2 minilm minilm_int8 g2p whisper_tiny_en text librivox flite mlperf_tiny silabs \
		open_nsfw rapidocr silero_vad efficientnet_lite0 photos calibration_photos
	$(PROFILE) $(BIN)/python -m pytest -q -n $(WORKERS) --dist loadfile -m models tests/models
	@$(BIN)/python -m examples.results.make

results: venv ## all of docs/concepts/results.md anew: two hours
	@$(BIN)/python -m examples.results.make --again

browser: venv ## what the pages look like and ask for, in headless Chromium (Debian: apt-get install chromium)
	$(PROFILE) $(BIN)/python -m pytest -q -n $(WORKERS) -m browser tests/browser

OUTSIDERS := .venv-outsiders/bin/python
.venv-outsiders/.made: $(PROJECTS) constraints.txt constraints-outsiders.txt
	@$(call new_environment,.venv-outsiders,some minutes and 3 GB)
	@$(OUTSIDERS) -m pip install --quiet --disable-pip-version-check --no-warn-conflicts -c constraints.txt -e '.[dev]' -e runtime -e conformance
	@$(OUTSIDERS) -m pip install --quiet --disable-pip-version-check --no-compile -c constraints.txt --no-deps -r constraints-outsiders.txt || \
		{ echo "make: not every outsider can be installed here; pip said above which and why" >&2; exit 1; }
	@touch $@

outsiders: .venv-outsiders/.made ## tests that ask PyTorch, bitsandbytes, torchao, MLX and others, in .venv-outsiders
	$(PROFILE) $(OUTSIDERS) -m pytest -q -n $(WORKERS) --dist loadfile -m torch tests/outsiders --every-outsider

arm: ## comes with a later issue: the kernels for ARM
	@echo "make arm comes with a later issue, after 6 (the kernels for ARM)" >&2; exit 2

bench: venv ## every benchmarks/*.py, side by side with others
	@set -e; for file in benchmarks/*.py; do \
		test -e "$$file" || { echo "no benchmarks yet"; break; }; \
		case "$$file" in */_*) continue;; esac; echo "== $$file"; $(BIN)/python "$$file"; done

WANT ?=
assets: venv ## real models and data into assets/, pinned by SHA-256: 450 MB, or WANT="smollm2 text"
	@$(BIN)/python examples/assets/fetch.py $(WANT)

clean: ## remove both environments, caches and what was built
	rm -rf .venv .venv-outsiders .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache dist docs/_build* docs/sg_execution_times.rst
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
