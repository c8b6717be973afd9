# Two commands do everything on a fresh machine with python3, pip and make.
#   make demo      install, draw demo photos, freeze, train, evaluate, report
#   make test      install, then format, lint, types, tests
#   make test-all  the same and the slow tests: the demo from its drawing to its errors
#   make quick     format, lint, types, tests of pure functions: under a minute
#   make fix       format and mend what the linter can
#   make coverage  the tests again, with the share of lines and branches that they run
#   make fixtures  train anew what tests read in tests/fixtures
#   make soak      half an hour of training with each loader: do memory, threads and files stay flat?
#                  Then every signal to every process of every launcher
PYTHON ?= python3
BIN := .venv/bin
DEMO := data/demo
RUN := runs/demo
CONFIG ?= accelerate_configs/cpu1.yaml
SOAK_MINUTES ?= 30
WORKERS := -n 2 --dist loadfile --no-loadscope-reorder
PURE := tests/stats tests/augment tests/analysis tests/config tests/car_names tests/test_types.py \
  tests/test_tables.py tests/test_architecture.py

.PHONY: demo test test-all lint quick fix coverage fixtures soak install check clean

demo: .venv/installed
	rm -rf $(DEMO)-raw $(DEMO) $(RUN)
	$(BIN)/carscale data demo $(DEMO)-raw
	$(BIN)/carscale data freeze $(DEMO)-raw $(DEMO)
	$(BIN)/accelerate launch --quiet --num_cpu_threads_per_process 1 --config_file $(CONFIG) \
	  recipes/effnet_focal.py \
	  data.root=$(DEMO) data.image_px=128 train.num_epochs=18 run.dir=runs run.name=demo
	$(BIN)/carscale evaluate $(RUN) --split test
	$(BIN)/carscale report $(RUN)

test: .venv/installed check

test-all: .venv/installed lint
	$(BIN)/pytest $(WORKERS) -m ""

fixtures: .venv/installed
	$(BIN)/python tests/workflows/demo_run.py

soak: .venv/installed
	test -d $(DEMO) || { $(BIN)/carscale data demo $(DEMO)-raw && $(BIN)/carscale data freeze $(DEMO)-raw $(DEMO); }
	$(BIN)/python benchmarks/soak.py $(DEMO) --minutes $(SOAK_MINUTES)
	$(BIN)/pytest tests/test_signals.py -m ""

check: lint
	$(BIN)/pytest $(WORKERS)

lint:
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

quick: .venv/installed lint
	$(BIN)/pytest $(PURE)

fix: .venv/installed
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

coverage: .venv/installed
	$(BIN)/pytest $(WORKERS) --cov=carscale --cov-branch --cov-report=term

install: .venv/installed

.venv/installed: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet -e '.[offline,dev]'
	touch .venv/installed

clean:
	rm -rf .venv build *.egg-info
