PYTHON ?= python3
VENV ?= .venv
ARGS ?=
OLDEST ?= .venv-oldest

BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PACKAGED_FASHION_MNIST := /usr/share/datasets/fashion-mnist
FAST := -n 2 --dist worksteal
TELLING := $(addprefix tests/,test_api.py commands/test_run.py run/test_summary.py network/test_reading.py \
  allocation/solvers integer/engines/onnx integer/program/test_files.py training/test_baseline.py data models/test_conf.py \
  report/test_dashboard.py)

.DEFAULT_GOAL := help
.PHONY: help setup data run test test-slow test-browser test-faults test-wheel test-oldest lint format bench dashboard watch figure hawq-tables networks coverage reproduce archive merge smoke clean

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  \1\t\2/' | expand -t 16

setup: $(STAMP) ## .venv with everything (PYTHON=python3.12 picks another interpreter)

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[dev]'
	@touch $@

# Debian packages Fashion-MNIST; anywhere else torchvision downloads it when the first run asks for it.
data: ## Fashion-MNIST from Debian's package, where apt and root are at hand
	@if [ ! -d $(PACKAGED_FASHION_MNIST) ] && command -v apt-get >/dev/null && [ "$$(id -u)" = 0 ]; then \
	  apt-get install -qq -y --no-install-recommends dataset-fashion-mnist >/dev/null \
	  || echo "dataset-fashion-mnist could not be installed; the run downloads the data itself"; fi

run: setup data ## INQ at 5 bits on Fashion-MNIST (ARGS="bits=4 force=true" adds choices)
	$(BIN)/python run.py method=inq bits=5 $(ARGS)

test: setup ## the fast tests
	$(BIN)/python -m pytest $(FAST) $(ARGS)

test-slow: setup ## all tests, the slow ones and those in a browser too
	$(BIN)/python -m pytest $(FAST) -m 'not gpu and not faults' $(ARGS)

test-faults: setup ## kills, full disks, flipped bits, hostile files, other machines (as root, 15 minutes)
	$(BIN)/python -m pytest -m faults tests/faults $(ARGS)

test-wheel: setup ## the wheel, installed alone and used from an empty folder
	$(BIN)/python -m pytest -m 'slow or not slow' tests/test_wheel.py $(ARGS)

# pip has no such resolution; uv has. Old libraries warn of what newer Pythons drop: no error here.
test-oldest: ## a telling part of the tests on the oldest versions that pyproject.toml allows (6 GB)
	$(PYTHON) -m venv $(OLDEST)
	$(OLDEST)/bin/python -m pip install --quiet uv
	$(OLDEST)/bin/uv pip install --quiet --python $(OLDEST)/bin/python --resolution lowest-direct -e '.[dev]'
	$(OLDEST)/bin/python -m pytest $(FAST) -W default $(TELLING) $(ARGS)

test-browser: setup ## the dashboard in headless Chromium
	$(BIN)/python -m pytest -m 'browser and not slow' $(ARGS)

lint: setup ## ruff, its formatter and pyright, changing nothing
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright

format: setup ## let ruff put the files in order
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: setup ## speed, as ratios to what a user could pick instead
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[bench]'
	for script in $(shell grep -l __main__ benchmarks/*.py); do \
	  PYTHONPATH=. $(BIN)/python $$script $(ARGS) || exit; done

dashboard: setup ## results/dashboard.html from every run record
	$(BIN)/python -m dyadic.report.dashboard $(ARGS)

watch: setup ## the same page, written again while runs are in progress
	$(BIN)/python -m dyadic.report.dashboard --watch $(ARGS)

figure: dashboard ## results/figures/dashboard.png, the page as the README shows it (Chromium)
	chromium --headless --no-sandbox --disable-gpu --hide-scrollbars --virtual-time-budget=6000 \
	  --window-size=1400,1960 --screenshot=$(CURDIR)/results/figures/dashboard.png \
	  file://$(CURDIR)/results/dashboard.html

hawq-tables: setup ## HAWQ-V3's tables: published beside ours
	$(BIN)/python -m experiments.hawq_v3.tables $(ARGS)

coverage: setup ## which of torchvision's networks become integers, exactly (measured rows are kept)
	$(BIN)/python -m experiments.coverage $(ARGS)

networks: setup data ## the float networks that the repository ships (ARGS=choose compares recipes)
	$(BIN)/python -m experiments.networks $(ARGS)

# By value: what is finished when it is stopped says the most. Then what is not named here.
FIRST := inq_bits inq_float log_weights linear_weights log_activations linear_activations \
  inq_resnet20 inq_resnet20_float binary_relax_resnet20 binary_relax_float log_resnet20 hawq_v3_mixed hawq_v3_float \
  survey_range survey_granularity survey_symmetry survey_dynamic survey_calibration \
  hawq_v3_selection hawq_v3_random bottom_up_none bottom_up bottom_up_others bottom_up_float log_fc log_range \
  hwgq_backward hwgq_weights hwgq_activations tsq_fine_tuning tsq_float tsq_weights tsq_nearest \
  inq_ternary inq_binary inq_finer inq_finer_float hawq_v3_fold hawq_v3_distillation \
  log_training linear_training log_sqrt2_training float_training straight_through straight_through_float hwgq_levels \
  tsq_sparsity binary_connect binary_relax inq_partition hawq_v3_size hawq_v3_latency \
  hawq_v3_tuned hawq_v3_random_tuned inq_pruned inq_pruned_float
EXPERIMENTS := $(FIRST) $(filter-out $(FIRST) smoke,$(basename $(notdir $(wildcard experiments/*.yaml))))

reproduce: setup data ## every experiment in experiments/ (finished runs are kept), and the claims
	@failed=; for name in $(EXPERIMENTS); do \
	  $(BIN)/python run.py -m +experiments=$$name $(ARGS) || failed="$$failed $$name"; \
	  $(BIN)/python -m dyadic.report.claims || exit; done; \
	if [ -n "$$failed" ]; then echo "not complete:$$failed (run again to retry)"; exit 1; fi

archive: ## the records as one file, results/records.tar.xz, for `make merge` elsewhere
	$(BIN)/python -m experiments.archive pack results/records.tar.xz

merge: ## add the records of an archive, and the claims (ARCHIVE=FILE)
	$(BIN)/python -m experiments.archive merge $(ARCHIVE)
	$(BIN)/python -m dyadic.report.claims

smoke: setup ## a tiny run of every method on generated data, no download
	$(BIN)/python run.py -m +experiments=smoke $(ARGS)

clean: ## caches and build products; run records and data stay
	rm -rf .pytest_cache .ruff_cache .hypothesis results/cache
	find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +
