# The settings keep a generated secret key in the data directory, so each command needs one.
OV2XMP_DATA_DIR ?= var
export OV2XMP_DATA_DIR

VENV := .venv
RUN := $(VENV)/bin/python
PIP := $(RUN) -m pip --disable-pip-version-check --quiet
# The first Python that is new enough: a system's python3 may be older.
PYTHON = $(shell for python in python3 python3.13 python3.12 python3.11; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && break; done)

FIND_PYTHON = test -n "$(PYTHON)" || { echo 'Python 3.11 or newer is needed, and none was found on the PATH.' >&2; exit 1; }

.PHONY: help run dev demo env backup restore test lint bench soak lock clean

help:  ## Show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-7s  %s\n", $$1, $$2}' Makefile

run: $(VENV)/.installed  ## Start the platform on this machine; Ctrl-C stops it
	@exec $(RUN) -m ov2xmp.embedded

dev: $(VENV)/.installed .env-local  ## Start the platform on the infrastructure of docker-compose-dev.yml
	@set -a && . ./.env-local && set +a && exec $(RUN) -m ov2xmp.embedded

.env-local:
	@echo 'There is no .env-local: run make env.' >&2; exit 1

env:  ## Make the environment files of the compose files, with random secrets
	@$(FIND_PYTHON)
	@$(PYTHON) -m deployment.envfiles

# In containers: the streams pass through, since the user in there owns no folder out here.
IN_CONTAINER = docker compose -f $(COMPOSE) run --rm -T ov2xmp-migrate python manage.py

backup: $(if $(COMPOSE),,$(VENV)/.installed)  ## Back up to backups/ or FILE=; FILES=1 with uploads; COMPOSE=<file> of containers
ifdef COMPOSE
	@set -e; umask 077; file=$(or $(FILE),backups/ov2xmp-$$(date -u +%Y%m%dT%H%M%SZ).tar.gz); \
		test ! -e "$$file" || { echo "$$file exists. Name another file." >&2; exit 1; }; \
		mkdir -p "$$(dirname "$$file")"; trap 'rm -f "$$file.partial"' EXIT; \
		$(IN_CONTAINER) backup $(if $(FILES),--files) - > "$$file.partial"; \
		mv "$$file.partial" "$$file"; echo "$$file; keep .env-docker with it, which has the secret key."
else
	@$(RUN) manage.py backup $(if $(FILES),--files) $(FILE)
endif

restore: $(if $(COMPOSE),,$(VENV)/.installed)  ## Put back FILE=; FORCE=1 replaces what is there; COMPOSE=<file> in containers
	@test -n "$(FILE)" || { echo 'Name the backup: make restore FILE=backups/...' >&2; exit 1; }
ifdef COMPOSE
	@$(IN_CONTAINER) restore $(if $(FORCE),--force) - < "$(FILE)"
else
	@$(RUN) manage.py restore $(if $(FORCE),--force) "$(FILE)"
endif

demo: $(VENV)/.installed-dev  ## Connect a small fleet of simulated stations to the running platform
	@exec $(RUN) -m tests.simulator.demo

# Bytecode is kept whatever the environment says: hundreds of processes would compile the same modules.
test: $(VENV)/.installed-dev  ## Run the tests; ARGS="-k name" picks some
	PYTHONDONTWRITEBYTECODE= $(RUN) -m pytest -n auto --maxprocesses 12 --no-loadscope-reorder $(ARGS)

lint: $(VENV)/.installed-dev  ## Check style, import directions, shell scripts, types, migrations and the OpenAPI schema
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	$(VENV)/bin/lint-imports
	$(VENV)/bin/shellcheck .ci/run elk/*.sh filebrowser/*.sh tests/deployment/*.sh
	$(RUN) -m mypy
	$(RUN) manage.py check
	$(RUN) manage.py makemigrations --check --dry-run
	$(RUN) manage.py spectacular --validate --fail-on-warn --file /dev/null

bench: $(VENV)/.installed-dev  ## Measure speed and size, next to a bare OCPP server; takes twenty minutes
	@exec $(RUN) -m tests.bench

soak: $(VENV)/.installed-dev  ## Do everything that fails to a platform under load; MINUTES=10, DATABASE=sqlite or postgresql
	@exec $(RUN) -m tests.faults --minutes $(or $(MINUTES),10) --database $(or $(DATABASE),sqlite) $(ARGS)

lock:  ## Pin the newest dependencies (needs uv)
	@for name in requirements requirements-build requirements-dev; do uv pip compile --quiet --upgrade --universal --python-version 3.11 \
		--generate-hashes --custom-compile-command 'make lock' $$name.in --output-file $$name.txt || exit 1; done
	@for name in ftp_server http_file_server; do uv pip compile --quiet --universal --python-version 3.11 \
		--generate-hashes --custom-compile-command 'make lock' --constraints requirements.txt $$name/requirements.in \
		--output-file $$name/requirements.txt || exit 1; done

clean:  ## Delete the virtual environment and the tools' caches; var/ stays
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis

$(VENV)/.installed: requirements.txt
	@$(FIND_PYTHON)
	@echo 'Installing the platform into $(VENV), which takes about a minute.'
	@$(PYTHON) -m venv --clear $(VENV)
	@$(PIP) install --requirement requirements.txt
	@touch $@

$(VENV)/.installed-dev: requirements-dev.txt $(VENV)/.installed
	@echo 'Installing what tests and linters need into $(VENV).'
	@$(PIP) install --requirement requirements-dev.txt
	@touch $@
