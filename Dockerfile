# The worker as an image: `make image`. The practice agent is in it too (`connector practice-agent`).
# Pin the base by digest for production: make image BASE_IMAGE=docker.io/library/python:3.13-slim-trixie@sha256:…
ARG BASE_IMAGE=docker.io/library/python:3.13-slim-trixie

FROM ${BASE_IMAGE} AS build
WORKDIR /source
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
# The environment that is shipped holds no pip; a second one installs into it.
RUN python3 -m venv /build && python3 -m venv --without-pip /opt/connector
COPY requirements-build.txt requirements.txt ./
RUN /build/bin/pip install --require-hashes -r requirements-build.txt \
    && /build/bin/pip --python /opt/connector/bin/python3 install --require-hashes --only-binary :all: -r requirements.txt \
    && find /opt/connector -path '*/numpy/*' -type d -name tests -prune -exec rm -rf {} +
COPY pyproject.toml README.md LICENSE ./
COPY connector connector
RUN /build/bin/pip wheel --no-deps --no-build-isolation --wheel-dir /wheel . \
    && /build/bin/pip --python /opt/connector/bin/python3 install --no-deps --no-index --find-links /wheel room-connector \
    && /opt/connector/bin/connector --version

FROM ${BASE_IMAGE}
ARG VERSION=0.0.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="room connector" \
      org.opencontainers.image.description="Brings a Millis AI voice agent into LiveKit rooms" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
RUN groupadd --gid 65532 connector \
    && useradd --key UID_MAX=65535 --uid 65532 --gid 65532 --no-create-home --home-dir /tmp --shell /usr/sbin/nologin connector
COPY --from=build /opt/connector /opt/connector
# The root is read-only in a pod: nothing is compiled at run time, and only /tmp is written to.
ENV PATH=/opt/connector/bin:$PATH \
    HOME=/tmp \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    CONNECTOR_CONFIG=/etc/connector/rooms.yaml
USER 65532:65532
WORKDIR /tmp
EXPOSE 8080 9090
# SIGTERM drains: no new call, live ones may finish within worker.drain_timeout. A second one ends them.
STOPSIGNAL SIGTERM
ENTRYPOINT ["connector"]
CMD ["run"]
