# Two commands matter: `make demo` and `make test`. Both install what they need into .venv and nothing anywhere else.
PYTHON ?= python3
BIN := .venv/bin
UV := $(BIN)/uv pip install --quiet --python $(BIN)/python
SOURCES := pyproject.toml hatch_build.py $(shell find contracts -name '*.vy' -o -name '*.vyi' 2>/dev/null)
.DEFAULT_GOAL := help
# Containers often tell Python to keep no compiled modules; here hundreds of processes start, and each would compile everything again.
unexport PYTHONDONTWRITEBYTECODE
.PHONY: help demo test unit night chaos fuzz lint types format apps docs bench clean

help:  ## say what there is
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

demo: .venv/.box  ## a market in a box renders an animation on three machines: demo/animation.gif
	$(BIN)/python demo/animation.py

test: .venv/.dev node_modules/.ready  ## all tests, in three processes: many wait for others more than they work
	$(BIN)/python -m pytest -n 3 --dist worksteal tests

unit: .venv/.dev  ## the fast tests alone
	$(BIN)/python -m pytest -n 2 --dist worksteal tests/unit tests/property

night: .venv/.dev node_modules/.ready  ## random tests with many times the examples; our hub against the original: 4,300 sequences
	$(BIN)/python -m pytest -n 2 --dist worksteal --hypothesis-profile=night --durations=10 tests/interop/differential tests/property

chaos: .venv/.dev  ## a market of real processes that are killed at random, with 500 tasks; SEED=7 repeats a run
	$(BIN)/python -m tests.support.chaos $(if $(SEED),--seed $(SEED))

fuzz: .venv/.dev  ## foreign bytes for everything that reads them, for ten minutes
	$(BIN)/python -m tests.fuzz --minutes 10

lint: .venv/.dev  ## style, floors, sizes
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-cache
	$(BIN)/python .ci/house.py

types: .venv/.dev  ## mypy --strict
	$(BIN)/mypy

format: .venv/.dev  ## lay the code out as lint wants it
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

apps: .venv/.dev  ## build the sample apps from their C sources
	$(BIN)/python apps/build.py

docs: .venv/.dev  ## write docs/reference from the code
	$(BIN)/python docs/generate.py

bench: .venv/.bench node_modules/.ready  ## every claim about speed and cost, as tables
	@for bench in benches/*.py; do $(BIN)/python $$bench || exit 1; echo; done

clean:  ## remove everything that make made
	rm -rf .venv node_modules demo/box demo/animation.gif demo/frames src/voisin/chain/artifacts

.venv/.uv: requirements/uv.txt
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Voisin needs Python 3.11 or newer; set PYTHON=/path/to/it")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/uv.txt
	@touch $@

.venv/.box: .venv/.uv requirements/box.txt $(SOURCES)
	$(UV) --require-hashes -r requirements/box.txt
	$(UV) --no-deps --no-build-isolation --editable .
	@touch $@

.venv/.dev: .venv/.box requirements/dev.txt
	$(UV) --require-hashes -r requirements/dev.txt
	@touch $@

.venv/.bench: .venv/.dev requirements/bench.txt
	$(UV) --require-hashes -r requirements/bench.txt
	@touch $@

node_modules/.ready: package-lock.json
	@if command -v npm >/dev/null; then npm ci --silent --no-audit --no-fund && touch $@; \
	elif [ "$$CI" = true ]; then echo "npm is missing" >&2; exit 1; \
	else echo "npm is missing: tests against npm peers will be skipped"; fi
