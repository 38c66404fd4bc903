.PHONY: help setup fmt check test matrix situations chaos fuzz soak forks company frameworks wires providers real-model page pictures grafana panels bench demo docs backends injected
PY := .venv-dev/bin/python

help: ## list these verbs
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  %-10s %s\n", $$1, $$2}'
setup: ## make .venv-dev with everything that development needs
	python3 -m venv .venv-dev && .venv-dev/bin/pip install -q -U pip && .venv-dev/bin/pip install -q --group dev -e '.[demo]'
fmt: ## format
	$(PY) -m ruff format . && $(PY) -m ruff check --fix-only -q .
check: ## lint, types, architecture
	$(PY) -m ruff format --check . && $(PY) -m ruff check . && $(PY) -m pyright --pythonpath $(PY) && $(PY) -m pytest -q tests/test_architecture.py
test: ## all tests
	$(PY) -m pytest -q
situations: ## write docs/situations.md from a run of all tests
	$(PY) -m pytest -q --situations
chaos: ## a fault at every step of ours, on every surface (the tests try an eighth)
	CHAOS=all CHAOS_STEPS=30 $(PY) -m pytest -q --timeout 3000 tests/test_chaos.py tests/test_chaos_made.py tests/providers
fuzz: ## five minutes of coverage-guided fuzzing of the readers
	$(PY) -m pip install -q atheris && $(PY) fuzz/readers.py -max_total_time=300
soak: ## 200,000 calls and 50,000 streams: memory, threads, descriptors, contexts
	$(PY) bench/soak.py
forks: ## 1,000 forks of a program whose threads call without a pause: every child ends, every call is kept once
	$(PY) bench/forks.py
company: ## among other agents and in other hosts of Python, in an environment of its own
	python3 -m venv .venv-company && .venv-company/bin/pip install -q -U pip && .venv-company/bin/pip install -q --group test --group company -e '.[demo]'
	.venv-company/bin/python -m pytest -q -n 2 tests/test_company.py
frameworks: ## real programs of each agent framework, each in an environment of its own
	$(PY) scripts/environments.py frameworks
wires: ## chains of real processes over A2A, MCP and HTTP, each SDK in an environment of its own
	$(PY) scripts/environments.py wires
providers: ## each further provider's SDK, at its newest and an older major version, each in an environment of its own
	$(PY) scripts/environments.py providers && $(PY) scripts/surfaces.py
real-model: ## the SDKs against a real model: our tokens are llama.cpp's own counts (builds it once, ten to twenty minutes)
	$(PY) scripts/real_model.py
page: ## the dashboard in a real browser (installs Debian's chromium where there is none)
	command -v chromium >/dev/null || apt-get install -y -q --no-install-recommends chromium fonts-dejavu-core
	$(PY) -m pip install -q --group page && $(PY) -m pytest -q -n 2 tests/test_dashboard.py
pictures: ## write the README's pictures from the demo's calls, in headless Chromium
	$(PY) -m pip install -q --group page && $(PY) scripts/make_pictures.py
grafana: ## the dashboard's queries on a real Prometheus (installs Debian's where there is none)
	command -v prometheus >/dev/null || apt-get install -y -q --no-install-recommends prometheus
	$(PY) -m pip install -q --group grafana && $(PY) -m pytest -q -n 2 tests/test_grafana.py tests/test_alerts.py tests/test_stack.py tests/test_fleet.py tests/test_history.py
panels: ## draw the dashboard with Grafana's own components, into build/panels (needs node, Debian's prometheus and chromium)
	command -v prometheus >/dev/null || apt-get install -y -q --no-install-recommends prometheus
	command -v chromium >/dev/null || apt-get install -y -q --no-install-recommends chromium fonts-dejavu-core
	$(PY) -m pip install -q --group page --group grafana && $(PY) scripts/make_panels.py
backends: ## our spans in a real Phoenix and a real MLflow, each in an environment of its own: the same cost
	$(PY) scripts/backends.py
injected: ## lock the libraries of the injected image, check deploy/, and try the image without a cluster
	$(PY) deploy/injected/lock.py && $(PY) -m pip install -q --group deploy && $(PY) -m pytest -q -n 0 tests/test_injected.py tests/test_deploy.py
bench: ## what recording costs, beside bare and each peer; goes on where it was ended (bench/run.py --fresh: anew)
	$(PY) bench/run.py
demo: ## the content crew, without a key
	$(PY) -m hexr_instrument demo
matrix: ## the tests with old and new versions of the SDKs, on every Python at hand
	$(PY) scripts/matrix.py && $(PY) scripts/surfaces.py
docs: ## write docs/reference.md from the docstrings, and the tables of surfaces from the tests
	$(PY) scripts/make_reference.py && $(PY) scripts/surfaces.py
