# syntax=docker/dockerfile:1
# One image for web, csms and worker; the command says which. The base's tag names Python and Debian.
ARG PYTHON=python:3.13-slim-trixie

FROM ${PYTHON} AS builder
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN python -m venv /opt/venv
COPY requirements.txt requirements-build.txt /tmp/
# Wheels, so that no compiler is needed; the two packages that have none are Python only. Their build
# may not fetch what no lock file names.
RUN /opt/venv/bin/pip install --require-hashes --only-binary=:all: --requirement /tmp/requirements-build.txt \
    && /opt/venv/bin/pip install --require-hashes --only-binary=:all: --no-binary=pyftpdlib,python-logstash \
        --no-build-isolation --no-compile --requirement /tmp/requirements.txt \
    && /opt/venv/bin/pip check \
    && /opt/venv/bin/pip uninstall --yes --quiet setuptools pip \
    && /opt/venv/bin/python -m compileall -q -j 0 /opt/venv/lib
COPY . /app
RUN python -m compileall -q -j 0 /app

FROM ${PYTHON}
# pg_dump and pg_restore of the major version that the compose files run, for backups. Debian keeps no
# former minor versions, so that one named here would soon be gone.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends postgresql-client-17 \
    && rm -rf /var/lib/apt/lists/* \
    && python -m pip uninstall --yes --quiet pip \
    && groupadd --gid 10001 ov2xmp \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /app --shell /usr/sbin/nologin ov2xmp \
    # Docker gives a new volume the owner and the mode that its folder has here.
    && install --directory --mode 0700 --owner 10001 --group 10001 /var/lib/ov2xmp \
    && install --directory --mode 0755 --owner 10001 --group 10001 /srv/files
COPY --from=builder /opt/venv /opt/venv
COPY --from=builder /app /app
WORKDIR /app
ENV PATH=/opt/venv/bin:$PATH \
    # The bytecode is there already, and the root file system may be read-only.
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    DJANGO_SETTINGS_MODULE=ov2xmp.settings \
    OV2XMP_BIND=0.0.0.0 \
    OV2XMP_DATA_DIR=/var/lib/ov2xmp \
    OV2XMP_FILES_DIR=/srv/files \
    OV2XMP_LOG_FORMAT=json
# Last, since they are other ones at each commit.
ARG REVISION=unknown
ARG VERSION=0.1.0
LABEL org.opencontainers.image.title="O-V2X-MP" \
      org.opencontainers.image.description="The Open Vehicle-To-Grid Management Platform: web, csms and worker" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
USER 10001:10001
# web, csms, csms with TLS
EXPOSE 8000 9000 9443
HEALTHCHECK --interval=15s --timeout=10s --start-period=60s --retries=3 CMD ["python", "-m", "deployment.healthcheck", "web"]
CMD ["daphne", "-v", "0", "-e", "tcp:port=8000:interface=0.0.0.0:backlog=4096", "ov2xmp.asgi:application"]
