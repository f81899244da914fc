# `make demo` shows the whole thing on this machine; `make test` checks it. Both set up what they need, once.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
STAMP = $(VENV)/.requirements
CHART_STAMP = $(VENV)/.requirements-chart
PYTEST = $(BIN)/python -m pytest

.DEFAULT_GOAL := help
.PHONY: help setup livekit demo test unit e2e test-browser check fmt coverage bench bench-quick \
	joins failover replicas flood soak drain live image sbom chart chart-live image-live \
	clips reference chart-reference requirements clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

$(STAMP): requirements-dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed; $(PYTHON) is $$($(PYTHON) --version 2>&1). Name another: make PYTHON=python3.13 …"; exit 69; }
	@echo "Setting up $(VENV), once …"
	@$(PYTHON) -m venv $(VENV) || { echo "The venv module is missing; on Debian: apt-get install python3-venv"; exit 69; }
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

setup: $(STAMP) ## the Python environment, with every pinned dependency

livekit: ## a livekit-server: found, or built once
	@scripts/livekit-server.sh

demo: $(STAMP) livekit ## two people and the practice agent in a real room, with a verdict and a report
	@LIVEKIT_SERVER="$$(scripts/livekit-server.sh)" $(BIN)/connector demo $(ARGS)

test: check unit e2e ## everything that a change must pass

unit: $(STAMP) ## fast tests, no server
	@$(PYTEST) tests/unit tests/loopback $(ARGS)

e2e: $(STAMP) livekit ## tests on a real livekit-server and a real redis-server
	@command -v redis-server >/dev/null || { echo "redis-server is needed; on Debian: apt-get install redis-server"; exit 69; }
	@LIVEKIT_SERVER="$$(scripts/livekit-server.sh)" $(PYTEST) tests/e2e -m "not browser" $(ARGS)

test-browser: $(STAMP) ## a real browser as the agent's peer; needs chromium
	@command -v chromium >/dev/null || { echo "chromium is needed; on Debian: apt-get install chromium"; exit 69; }
	@$(PYTEST) tests/e2e -m browser $(ARGS)

check: $(STAMP) ## format, lint, types, layers, spelling
	@$(BIN)/ruff format --check --quiet . || { echo "make fmt puts this right"; exit 1; }
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy connector tests bench scripts
	@$(BIN)/lint-imports
	@$(BIN)/codespell

fmt: $(STAMP) ## format, and mend what ruff can mend
	@$(BIN)/ruff check --fix-only --quiet .
	@$(BIN)/ruff format --quiet .

coverage: $(STAMP) livekit ## line and branch coverage of all tests
	@LIVEKIT_SERVER="$$(scripts/livekit-server.sh)" $(BIN)/coverage run -m pytest -m "not browser and not chart and not chart_live and not image_live"
	@$(BIN)/coverage combine --quiet && $(BIN)/coverage report

bench: $(STAMP) livekit ## cost, delay and loss beside a plain bridge; half an hour on a quiet machine
	@LIVEKIT_SERVER="$$(scripts/livekit-server.sh)" $(BIN)/python -m bench --write $(ARGS)

bench-quick: $(STAMP) livekit ## the same, short, to see that it runs
	@LIVEKIT_SERVER="$$(scripts/livekit-server.sh)" $(BIN)/python -m bench --quick $(ARGS)

$(CHART_STAMP): requirements-chart.txt $(STAMP)
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-chart.txt
	@touch $@

image: ## the image, with docker, podman or buildah; ARGS go to the build
	@scripts/image.sh $(ARGS)

sbom: $(CHART_STAMP) ## what the image's Python part is made of, as CycloneDX: build/sbom.cdx.json
	@PYTHON=$(PYTHON) BIN=$(BIN) scripts/sbom.sh

chart: $(CHART_STAMP) livekit ## lint, render, validate, break and test the chart, its alerts, dashboard and documents
	@command -v promtool >/dev/null && command -v prometheus >/dev/null || \
		{ echo "promtool and prometheus are needed; on Debian: apt-get install prometheus"; exit 69; }
	@tools="$$(scripts/chart-tools.sh)" && "$$tools/helm-unittest" helm/connector && \
		CHART_TOOLS="$$tools" LIVEKIT_SERVER="$$(scripts/livekit-server.sh)" $(PYTEST) tests/chart $(ARGS)

chart-live: $(CHART_STAMP) ## the chart on a real Kubernetes API server; builds one, once
	@tools="$$(scripts/chart-tools.sh)" && kube="$$(scripts/kube-tools.sh)" && \
		CHART_TOOLS="$$tools" KUBE_TOOLS="$$kube" $(PYTEST) tests/chart_live $(ARGS)

image-live: $(CHART_STAMP) livekit ## the image as a pod would run it, in a call; needs podman, and a base image
	@image="$$(scripts/live-image.sh)" && tools="$$(scripts/chart-tools.sh)" && \
		IMAGE="$$image" CHART_TOOLS="$$tools" LIVEKIT_SERVER="$$(scripts/livekit-server.sh)" $(PYTEST) tests/image_live $(ARGS)

LIVE = LIVEKIT_SERVER="$$(scripts/livekit-server.sh)" $(BIN)/python -m bench.live
joins: $(STAMP) livekit ## 50 joins: from connect() to the agent's first sound; ARGS=--write for docs/reliability.md
	@$(LIVE) joins $(ARGS)

failover: $(STAMP) livekit ## kill -9 of an engine during live calls
	@$(LIVE) failover $(ARGS)

replicas: $(STAMP) livekit ## kill -9 of one of three replicas, and a rolling replacement; needs redis-server
	@$(LIVE) replicas $(ARGS)

flood: $(STAMP) livekit ## 1,000 bad webhooks a second during live calls
	@$(LIVE) flood $(ARGS)

soak: $(STAMP) livekit ## 300 sessions: nothing is left of them
	@$(LIVE) soak $(ARGS)

drain: $(STAMP) livekit ## SIGTERM and reloads during live calls
	@$(LIVE) drain $(ARGS)

live: $(STAMP) livekit ## all six of them, about 12 minutes on a quiet machine; writes docs/reliability.md
	@$(LIVE) joins failover replicas flood soak drain --write $(ARGS)

clips: ## the recorded speech of the demo; needs espeak-ng and sox
	@scripts/clips.sh

reference: $(STAMP) ## what is made from the model and from measurements: docs/configuration.md, the chart's schema, …
	@$(BIN)/python -m connector.config.reference > docs/configuration.md
	@$(BIN)/python -m scripts.chart_schema && $(BIN)/python -m scripts.dashboard && $(BIN)/python -m scripts.sizes

chart-reference: reference ## the same, and the chart's page from its values.yaml
	@"$$(scripts/chart-tools.sh)/helm-docs" --chart-search-root helm --sort-values-order file --log-level warning

requirements: $(STAMP) ## compile the pinned, hashed requirements anew
	@$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
		--no-emit-index-url --no-emit-find-links pyproject.toml -o requirements.txt
	@$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
		--no-emit-index-url --no-emit-find-links --extra dev -c requirements.txt pyproject.toml -o requirements-dev.txt
	@$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
		--no-emit-index-url --no-emit-find-links --extra chart -c requirements-dev.txt pyproject.toml -o requirements-chart.txt
	@echo setuptools | $(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
		--no-emit-index-url --no-emit-find-links -c requirements-dev.txt - -o requirements-build.txt

clean: ## remove what was made here (not the livekit-server in the user's cache)
	@rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage* report build dist *.egg-info
