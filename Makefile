# make run    from events to report, for the default model       make test   every test that isn't slow, and the linters
# make models the frozen graph of every model, and their table    make slow   the slow tests
# make fuzz   random graphs through every engine                 make bench  the benchmarks
# make docs   the pages that are made from the source            make clean  remove what was generated, but not .venv
# Each does its own set-up: a virtual environment in .venv, the Python packages, and system tools where permitted.

BIN := .venv/bin
SPEC ?= models/l1_vae_rz/spec.toml
WORKERS ?= 2
COUNT ?= 200
RTL_COUNT ?= 20

.DELETE_ON_ERROR:
.PHONY: run test lint models cards slow fuzz bench docs clean setup browser

run: setup
	$(BIN)/trigger-ml run $(SPEC)

test: lint browser
	$(BIN)/pytest -n $(WORKERS) --dist loadfile -m "not slow"

lint: setup
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

models: setup
	set -e; for model in models/*/spec.toml; do model=$$(dirname $$model); \
	if [ -f $$model/qgraph.json ]; then $(BIN)/trigger-ml run $$model --frozen; else $(BIN)/trigger-ml run $$model; fi; done
	$(MAKE) cards

cards: setup
	$(BIN)/python -c "import pathlib as p, trigger_ml.report.card as c; print('kept, for want of a run:', *c.write_all(*map(p.Path, ('models', 'hls_projects', 'docs'))))"
	$(BIN)/trigger-ml offline table --doc docs/offline.md > /dev/null

slow: setup
	$(BIN)/pytest -m slow

fuzz: setup
	$(BIN)/python -m trigger_ml.fuzz --engine onnx --count $(COUNT)
	$(BIN)/python -m trigger_ml.fuzz --engine cpp --count $(COUNT)
	$(BIN)/python -m trigger_ml.fuzz --engine cmssw --count $(COUNT)
	$(BIN)/python -m trigger_ml.fuzz --engine hls4ml --count $(COUNT)
	$(BIN)/python -m trigger_ml.fuzz --engine hls4ml --io-type io_stream --count $(COUNT)
	$(BIN)/python -m trigger_ml.fuzz --engine verilog --count $(RTL_COUNT)
	$(BIN)/python -m trigger_ml.fuzz --engine vhdl --count $(RTL_COUNT)

bench: setup
	$(BIN)/trigger-ml bench emulation
	$(BIN)/trigger-ml bench ternary
	$(BIN)/python bench/equalities.py
	$(BIN)/trigger-ml run models/l1_student --frozen
	$(BIN)/trigger-ml bundle models/l1_student
	$(BIN)/python -m bench.emulate_files hls_projects/l1_student/l1_student.zip
	$(BIN)/python bench/uniform_bits.py
	$(BIN)/python bench/kill_run.py

docs: setup
	$(BIN)/python -c "import pathlib, trigger_ml.spec_page as s; pathlib.Path('docs/spec.md').write_text(s.reference()); pathlib.Path('docs/offline-spec.md').write_text(s.offline_reference())"

clean:
	find hls_projects -mindepth 1 -maxdepth 1 ! -name README.md -exec rm -rf {} +

browser:
	.ci/setup browser

setup: .venv/ready

.venv/ready: pyproject.toml .ci/setup
	.ci/setup
