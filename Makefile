# make demo    a small world of mail servers on loopback, scanned and reported; needs nothing but Python and a network
# make test    all tests; installs the servers that they talk to when run as root on Debian, else names what is missing
# make check   what every change has to pass, in a minute: ruff, mypy, import-linter, the suite table, the unit tests
# make bench   our cost beside that of nmap, sslscan and sslyze, for one server and for many, and of the service; half an hour (bench/README.md)
# make clean   removes everything that make has made
#
# Another Python than the first usable one in the PATH: make PYTHON=python3.13 demo

SHELL := /bin/sh
.DELETE_ON_ERROR:
.PHONY: demo test check bench clean

PYTHON ?= $(shell for python in python3 python3.14 python3.13 python3.12 python3.11; do \
	if $$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then echo $$python; break; fi; done)

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
# Empty files that say what the virtual environment holds, so that nothing is installed twice.
MADE := $(VENV)/.made
RUN_READY := $(VENV)/.installed-all
DEV_READY := $(VENV)/.installed-dev

demo: $(RUN_READY)
	$(BIN)/mxprobe demo

test: $(DEV_READY)
	tools/install-test-servers
	$(BIN)/python -m pytest -q

check: $(DEV_READY)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python tools/make_suites.py --check
	$(BIN)/python tools/make_openssl.py --check
	$(BIN)/python -m pytest -q tests/unit

bench: $(DEV_READY)
	$(BIN)/python bench/compare.py
	$(BIN)/python bench/targets.py
	$(BIN)/python bench/hostile.py
	$(BIN)/python bench/many.py
	$(BIN)/python bench/service.py --next-hops 1000 10000
	$(BIN)/python bench/internet.py

clean:
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(MADE):
	@if [ -z "$(PYTHON)" ] || ! $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then \
		echo 'mxprobe needs Python 3.11 or newer; on Debian 12 or newer, as root: apt-get install python3 python3-venv' >&2; \
		echo 'or name one: make PYTHON=/path/to/python3' >&2; exit 2; fi
	@if ! $(PYTHON) -c 'import ensurepip' 2>/dev/null; then \
		if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
			echo 'Installing the Debian package python3-venv, without which Python makes no virtual environment.'; \
			apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends python3-venv; \
		else \
			echo 'Python makes no virtual environment here; on Debian, as root: apt-get install python3-venv' >&2; exit 2; fi; fi
	$(PYTHON) -m venv $(VENV)
	@touch $@

# Installed editable: a changed source file needs no new installation, a changed pyproject.toml does.
$(RUN_READY): $(MADE) pyproject.toml
	$(PIP) install --editable '.[all]'
	@touch $@

$(DEV_READY): $(MADE) pyproject.toml
	$(PIP) install --editable '.[dev]'
	@touch $(RUN_READY) $@
