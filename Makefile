# Every command of the project. `make` alone lists them.
.DEFAULT_GOAL := help
SHELL := /bin/bash
PYTHON ?= python3
# Addresses of the demonstration: for calls, and for administration; default: those of the service.
LISTEN ?=
ADMIN_LISTEN ?=
# Seconds that `make fuzz` runs each target, and the factor by which it then increases the examples of
# `make test`; 0 for none.
SECONDS ?= 60
FACTOR ?= 10
# Number of processes in `make test`: most tests wait, so more than there are cores.
TEST_WORKERS ?= $(shell expr 2 \* $$(getconf _NPROCESSORS_ONLN))
# The tests of `make quick`.
QUICK := tests/convert tests/test_lossless.py tests/configuration tests/rpc/test_status.py
# The programs that `make test-routers` puts between Penstock and vLLM. Ray starts its own vLLMs.
ROUTERS ?= vllm-router smg litellm nginx envoy $(if $(filter vllm,$(UPSTREAM)),ray)
# Their upstream: simulator or vllm.
UPSTREAM ?= simulator
# The version of vLLM that `make test-vllm` runs, if not that of tests/vllm/requirements.lock, and the
# files of tests to run.
VLLM ?= $(OLD)
CASES ?= tests/acceptance
# Tests start Python hundreds of times: modules are compiled once.
unexport PYTHONDONTWRITEBYTECODE
VENV := .venv
BIN := $(VENV)/bin
PIP_INSTALL := install --quiet --disable-pip-version-check
PROTOS := $(wildcard protos/penstock/v1/*.proto)
# The version with which the contract must stay compatible: the last release, which is the last tag of
# this history; before the first release, a local main, or the remote's in a CI checkout.
HASH := \#
RELEASED := $(shell git describe --tags --abbrev=0 --match 'v[0-9]*' 2>/dev/null)
AGAINST ?= .git$(HASH)$(if $(RELEASED),tag=$(RELEASED),$(shell git rev-parse --verify --quiet refs/heads/main >/dev/null \
  && echo branch=main || echo ref=refs/remotes/origin/main))

VERSION = $(shell sed -n 's/^version = "\(.*\)"$$/\1/p' pyproject.toml)

# The compiled parts of the benchmark.
BENCH := bench/build
CFLAGS := -O2 -std=gnu11 -Wall -Wextra -Werror
# Numbers of workers to measure in addition, such as 1,2,4.
WORKERS ?=
# Whether to measure the cost of options in addition: metrics, traces, TLS, hedging, merging.
OPTIONS ?=

.PHONY: help demo docs test quick fuzz test-vllm test-routers test-examples test-observability test-mesh pictures bench bench-peers bench-guard bench-baseline \
  release dist check format generate lock clean

help:  ## list the commands
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 20

demo: $(VENV)/.demo  ## stream a chat from a simulated upstream, then continue to serve
	@# Under job control, so that Ctrl-C ends the demonstration and not make.
	@set -m; $(BIN)/penstock demo $(LISTEN:%=--listen %) $(ADMIN_LISTEN:%=--admin-listen %); code=$$?; \
	  test $$code != 4 || echo "for example: make demo LISTEN=127.0.0.1:50061 ADMIN_LISTEN=off" >&2; exit $$code

test: $(VENV)/.dev $(VENV)/.docs  ## all tests that need no vLLM, in TEST_WORKERS processes
	$(BIN)/pytest --numprocesses=$(TEST_WORKERS) --dist=worksteal

quick: $(VENV)/.dev  ## the tests of conversions, lossless fields, configuration and the status table
	$(BIN)/pytest --numprocesses=$(TEST_WORKERS) --dist=worksteal $(QUICK)

fuzz: $(VENV)/.fuzz  ## look for inputs that break something; each target for SECONDS
	cd tests && ../$(BIN)/python -m fuzz.coverage_guided $(SECONDS)
	$(if $(filter-out 0,$(FACTOR)),FUZZ_FACTOR=$(FACTOR) $(BIN)/pytest tests/fuzz)

test-vllm: $(VENV)/.dev  ## install a real vLLM, or another version of it, make tiny models, run the acceptance suite on them
	PENSTOCK_VLLM=$(VLLM) tests/vllm/install.sh
	tests/routers/install.sh routers
	PENSTOCK_VLLM=$(VLLM) $(BIN)/pytest $(CASES) --upstream=vllm

test-routers: $(VENV)/.dev  ## the acceptance suite through each of ROUTERS, to two simulators or, with UPSTREAM=vllm, vLLMs
	tests/routers/install.sh
	$(if $(filter vllm,$(UPSTREAM)),tests/vllm/install.sh)
	$(if $(filter ray,$(ROUTERS)),tests/routers/install_ray.sh)
	@# All are run, even if one fails.
	failed=; for router in $(ROUTERS); do \
	  echo "== $$router"; \
	  $(BIN)/pytest tests/acceptance tests/routers --router=$$router --upstream=$(UPSTREAM) || failed=1; \
	done; test -z "$$failed"

test-examples: $(VENV)/.dev  ## build the example clients of every language, run them on a service
	examples/toolchains.sh
	$(BIN)/pytest tests/examples

test-observability: $(VENV)/.dev  ## unpack a Prometheus, let it scrape a service under load, run every panel and rule
	tests/observability/install.sh
	$(BIN)/pytest tests/observability

docs: $(VENV)/.runtime $(VENV)/.docs  ## build the documentation site into build/docs/site
	$(BIN)/python -m website

test-mesh: $(VENV)/.dev  ## install Helm and an Envoy, validate every manifest, run the files of deploy/envoy
	tests/deployment/manifests/install.sh
	tests/mesh/install.sh
	$(BIN)/pytest tests/deployment/manifests tests/mesh

pictures: $(VENV)/.dev  ## draw the terminal of the README and the dashboards from real runs, into docs/
	$(BIN)/python -m website.terminal
	tests/observability/install.sh
	cd tests && PYTHONPATH=..:vllm ../$(BIN)/python -m observability.pictures

bench: $(VENV)/.bench $(BENCH)/.built  ## measure next to an Envoy hop and a no-op server, write docs/performance.md
	$(BIN)/python -m bench run $(if $(WORKERS),--workers=$(WORKERS)) $(if $(OPTIONS),--options)

bench-peers: $(VENV)/.bench $(VENV)/.peers $(VENV)/.routers $(BENCH)/.built  ## the same, with vllm-router, smg and LiteLLM
	$(BIN)/python -m bench run --peers --budget=780 $(if $(WORKERS),--workers=$(WORKERS)) $(if $(OPTIONS),--options)

bench-guard: $(VENV)/.bench $(BENCH)/.built  ## a short form with loose bounds, and instruction counts
	$(BIN)/python -m bench guard

bench-baseline: $(VENV)/.dev $(BENCH)/.built  ## store the instruction counts of the conversions
	$(BIN)/python -m bench baseline

release:  ## an archive of the protos, those of error details, and the descriptor set, in dist/
	mkdir -p dist
	tar --create --gzip --file dist/penstock-protos-$(VERSION).tar.gz --sort=name \
	  --owner=root:0 --group=root:0 --transform 's,^,penstock-protos-$(VERSION)/,' \
	  --directory protos penstock README.md --directory ../client/penstock descriptors.binpb \
	  --directory ../../examples googleapis --directory .. buf.gen.yaml LICENSE

dist: release $(VENV)/.release  ## everything that a release consists of, with checksums, in dist/
	$(VENV)/release/bin/python -m build --installer uv --outdir dist
	cp client/penstock/descriptors.binpb dist/penstock-$(VERSION).binpb
	$(VENV)/release/bin/cyclonedx-py requirements requirements/runtime.lock --pyproject pyproject.toml \
	  --output-reproducible --output-file dist/penstock-$(VERSION).cdx.json
	$(BIN)/python -m protos.module_zip $(VERSION) dist/penstock-go-$(VERSION).zip
	@# The repository does not contain the version of the package.
	rm -rf build/npm && mkdir -p build && cp -r gen/ts build/npm
	cd build/npm && npm version --no-git-tag-version $(VERSION) && npm pack --pack-destination ../../dist
	cd dist && sha256sum penstock-$(VERSION)* penstock-*-$(VERSION)* > SHA256SUMS

check: $(VENV)/.dev $(VENV)/.codegen  ## lint, types, import contracts, protos, generated code
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	PYTHONPATH=client:server $(VENV)/codegen/bin/lint-imports
	$(BIN)/buf lint
	$(BIN)/buf format --diff --exit-code
	$(BIN)/buf breaking --against '$(AGAINST)'
	$(BIN)/python -m protos.generate --check

format: $(VENV)/.dev  ## rewrite Python and protos in the project's format
	$(BIN)/ruff check --fix
	$(BIN)/ruff format
	$(BIN)/buf format --write

generate: $(VENV)/.codegen $(VENV)/.dev  ## remake client/penstock/v1 and gen/ from protos/, the dashboards, the values of the chart, and the tables of options
	$(BIN)/python -m protos.generate
	$(BIN)/python -m deploy.grafana
	$(BIN)/python -m deploy.helm
	$(BIN)/python -m website.reference.configuration

lock: $(VENV)/.dev  ## resolve the pinned dependencies again
	$(BIN)/python requirements/lock.py

clean:  ## remove the virtual environments
	rm -rf $(VENV)

# Environments: for running, for development, and a separate one for code
# generation, whose pins contradict the newest runtime (see CONTRIBUTING.md).
$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Penstock needs Python 3.11 or newer; run: make PYTHON=python3.11 …")'
	@# What a failed attempt leaves would pass for an environment.
	$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); exit 1; }

$(VENV)/.runtime: requirements/runtime.lock pyproject.toml | $(VENV)/bin/python
	$(BIN)/pip $(PIP_INSTALL) --require-hashes -r requirements/runtime.lock
	$(BIN)/pip $(PIP_INSTALL) --no-deps --editable .
	@touch $@

$(VENV)/.demo: requirements/demo.lock $(VENV)/.runtime
	$(BIN)/pip $(PIP_INSTALL) --require-hashes -r requirements/demo.lock
	@touch $@

$(VENV)/.dev: requirements/dev.lock $(VENV)/.runtime
	$(BIN)/pip $(PIP_INSTALL) --require-hashes -r requirements/dev.lock
	@touch $@

$(VENV)/.bench: requirements/bench.lock $(VENV)/.dev
	$(PYTHON) -m venv $(VENV)/bench
	$(VENV)/bench/bin/pip $(PIP_INSTALL) --require-hashes -r requirements/bench.lock
	@touch $@

# Compiled as in a deployment: otherwise it would compile modules during the measurement.
$(VENV)/.peers: requirements/peers.lock | $(VENV)/bin/python
	$(PYTHON) -m venv $(VENV)/peers
	@# The lock has them all; pip does not see that a pin is for an extra of a package, too.
	$(VENV)/peers/bin/pip $(PIP_INSTALL) --no-deps --require-hashes -r requirements/peers.lock
	-env --unset=PYTHONDONTWRITEBYTECODE $(VENV)/peers/bin/python -m compileall -q $(VENV)/peers/lib
	@touch $@

$(VENV)/.routers: requirements/routers.lock | $(VENV)/bin/python
	$(PYTHON) -m venv $(VENV)/routers
	$(VENV)/routers/bin/pip $(PIP_INSTALL) --no-deps --require-hashes -r requirements/routers.lock
	@touch $@

$(BENCH)/.built: $(wildcard bench/src/*) bench/toolchain.sh
	bench/toolchain.sh
	mkdir -p $(BENCH)
	$(CC) $(CFLAGS) -o $(BENCH)/child $(addprefix bench/src/,child.c common.c)
	$(CC) $(CFLAGS) -o $(BENCH)/upstream $(addprefix bench/src/,upstream.c common.c)
	$(CC) $(CFLAGS) -o $(BENCH)/client $(addprefix bench/src/,client.c http.c grpc.c common.c) -lnghttp2
	$(CC) $(CFLAGS) -shared -fPIC -o $(BENCH)/counter.so bench/src/counter.c
	@touch $@

$(VENV)/.fuzz: requirements/fuzz.lock $(VENV)/.dev
	$(BIN)/pip $(PIP_INSTALL) --require-hashes -r requirements/fuzz.lock
	@touch $@

$(VENV)/.codegen: requirements/codegen.lock | $(VENV)/bin/python
	$(PYTHON) -m venv $(VENV)/codegen
	$(VENV)/codegen/bin/pip $(PIP_INSTALL) --require-hashes -r requirements/codegen.lock
	@touch $@

$(VENV)/.docs: requirements/docs.lock | $(VENV)/bin/python
	$(PYTHON) -m venv $(VENV)/docs
	$(VENV)/docs/bin/pip $(PIP_INSTALL) --require-hashes -r requirements/docs.lock
	@touch $@

$(VENV)/.release: requirements/release.lock | $(VENV)/bin/python
	$(PYTHON) -m venv $(VENV)/release
	$(VENV)/release/bin/pip $(PIP_INSTALL) --require-hashes -r requirements/release.lock
	@touch $@
