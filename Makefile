# The table of contents. Every target may be repeated, and installs what it needs and lacks.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
KUBECEPTION := $(BIN)/kubeception
CHECKOV := $(VENV)-checkov/bin/checkov
KUBECTL := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/kubeception/bin/kubectl

# A lab for the command that follows, ended whatever becomes of that, and a folder for what tests leave.
LAB := test
LEFT = left=$$(mktemp -d); trap 'rm -rf "$$left"' EXIT;
IN_LAB = $(LEFT) trap '$(KUBECEPTION) lab down --name $(LAB); rm -rf "$$left"' EXIT; \
  $(KUBECEPTION) lab up --name $(LAB) --no-merge; export KUBECEPTION_LAB=$(LAB);
# They wait more than they work: three files at a time.
ABREAST = $(BIN)/pytest --basetemp "$$left/tests" --numprocesses 3 --dist loadfile tests/integration tests/fault

# What the lab begins with, by its Debian names; what it builds with, it installs itself.
PACKAGES := python3-venv runc iproute2 nftables

##@ Use

help: ## this list
	@awk 'BEGIN { FS = ":.*## " } /^##@/ { printf "\n%s\n", substr($$0, 5) } \
	  /^[a-z0-9-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: packages venv ## a lab, a tenant cluster in it, a virtual machine as its node, pods on that
	$(KUBECEPTION) lab up
	$(KUBECEPTION) create demo --workers 1
	$(KUBECTL) apply --filename manifests/samples/hello.yaml
	$(KUBECTL) rollout status deployment/hello --timeout 5m
	$(KUBECTL) get nodes,pods,services --output wide
	$(KUBECTL) exec deployment/hello -- busybox wget -qO- http://hello
	@echo; echo "Go on:  $(KUBECEPTION) list     $(KUBECEPTION) scale demo --workers 2     $(KUBECTL) …"
	@echo "End it: $(KUBECEPTION) delete demo     $(KUBECEPTION) lab down"

clean: ## end the lab and remove what was made here; the parts stay cached
	if [ -x $(KUBECEPTION) ]; then $(KUBECEPTION) lab down; fi
	rm -rf $(VENV) $(VENV)-checkov build dist site *.egg-info .*_cache .hypothesis .coverage bench-*.json conformance-*.json

##@ Test

test: packages lint type unit ## all tiers, the quickest first, without what is marked slow: this is what CI runs
	$(IN_LAB) $(ABREAST) tests/e2e/test_lab.py; $(BIN)/pytest --ignore tests/e2e/test_lab.py tests/e2e; \
  $(BIN)/python -m tests.rbac_audit --lab $(LAB) "$$left"

unit: venv ## no socket, no process: unit, property and golden tests
	$(BIN)/pytest tests/unit tests/property tests/golden

fuzz: venv ## 10,000 generated specs: each rendered, or refused by its field
	KUBECEPTION_FUZZ=10000 $(BIN)/pytest --timeout 0 tests/property/test_bad_input.py

coverage: venv ## which lines and branches the unit tier reaches
	$(BIN)/pytest --cov --cov-report=term-missing:skip-covered tests/unit tests/property tests/golden

integration: packages venv ## real etcd and kube-apiserver processes, out of the lab's cache
	$(LEFT) $(ABREAST)

rbac-audit: packages venv ## which of its rights the operator used neither in its tests nor in KUBECEPTION_LAB, if that is set
	$(LEFT) $(ABREAST); $(BIN)/python -m tests.rbac_audit $(if $(KUBECEPTION_LAB),--lab $(KUBECEPTION_LAB)) "$$left"

fault: packages venv ## a fault at each request of a tenant's life; prints how many; RUNS=20 for a sample of lives
	$(BIN)/python -m tests.fault $(if $(RUNS),--sample $(RUNS))

e2e: packages venv ## tenants with virtual machines, in a lab of their own; what is marked slow, too
	$(IN_LAB) $(BIN)/pytest -m "" tests/e2e

attacks: packages venv ## what hostile tenants try: a table of what was held off, and what comes through unguarded
	$(BIN)/python -m pytest -p tests.attacks -m attack tests

conformance: packages venv ## specs of Kubernetes' own suite that need no node, in a tenant that is in DEPTH clusters; default 1
	$(BIN)/python -m tests.conformance $(if $(DEPTH),--depth $(DEPTH)) $(if $(KUBECEPTION_LAB),--lab $(KUBECEPTION_LAB))

bench: packages venv ## measure against the running lab; prints a table, writes bench-*.json
	$(BIN)/python -m tests.bench

scale: packages venv ## measure an operator with 500 tenants, on an etcd and kube-apiserver of its own
	$(BIN)/python -m tests.bench.scale --tenants 500

lint: venv ## style, layers
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/lint-imports

checkov: venv $(CHECKOV) ## all that is rendered, against checkov's checks and the exceptions in tests/checkov.yaml
	$(BIN)/python -m tests.checkov $(CHECKOV)

type: venv ## mypy, strict
	$(BIN)/mypy

##@ Maintain

manifests: venv ## write manifests/install anew, for kubectl apply
	$(BIN)/pytest tests/golden/test_golden.py --update-golden -k manifests

golden: venv ## write the golden files anew; read the diff before you commit it
	$(BIN)/pytest tests/golden --update-golden

screens: venv ## write anew what commands print on terminals of 80 and 120 columns; read the diff
	$(BIN)/pytest tests/integration/test_screens.py --update-golden

reference: venv ## write the pages of docs/ anew that are made from the program
	$(BIN)/pytest tests/golden/test_pages.py --update-golden

transcript: LAB := lab
transcript: packages venv ## type the tutorial's commands in a lab; write what they print to docs/transcript.md
	$(IN_LAB) KUBECEPTION_TRANSCRIPT=docs/transcript.md $(BIN)/pytest tests/e2e/test_newcomer.py

docs: venv ## the pages of docs/ as a site, in site/
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

venv: $(VENV)/.installed

$(VENV)/.installed: setup.cfg
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --editable '.[dev]'
	touch $@

# Apart from the project: it pins versions of much that this needs, too.
$(CHECKOV):
	$(PYTHON) -m venv $(VENV)-checkov
	$(VENV)-checkov/bin/pip install --quiet checkov==3.3.30

packages:
	@command -v dpkg-query >/dev/null || { echo "not Debian; these are yours to install:" $(PACKAGES); exit; }; \
	missing=$$(for name in $(PACKAGES); do \
	  dpkg-query --show --showformat '$${db:Status-Status}' $$name 2>/dev/null | grep -qx installed || echo $$name; done); \
	if [ -z "$$missing" ]; then exit; fi; \
	if [ $$(id -u) != 0 ]; then echo "missing; run as root: apt-get install" $$missing; exit 1; fi; \
	echo "apt-get install" $$missing; \
	apt-get update --quiet=2; DEBIAN_FRONTEND=noninteractive apt-get install --quiet=2 --yes --no-install-recommends $$missing >/dev/null

.PHONY: help demo clean test unit coverage fuzz integration rbac-audit fault e2e conformance bench scale lint checkov type manifests golden screens reference transcript docs venv packages
