# Receiver, scheduler, dashboard and database migrations: no torch, no image codecs.
# Build from the root of the repository: docker build -f deploy/receiver.Dockerfile -t ptx-node-receiver .
FROM python:3.11-slim-bookworm AS build
WORKDIR /opt/ptx-node
RUN python -m venv .venv
COPY deploy/requirements/base.txt deploy/requirements/
RUN .venv/bin/pip install --no-cache-dir --no-compile -r deploy/requirements/base.txt
COPY pyproject.toml README.md LICENSE ./
COPY ptx_node ptx_node
COPY alembic alembic
RUN .venv/bin/pip install --no-cache-dir --no-deps --no-build-isolation --editable .

FROM python:3.11-slim-bookworm
LABEL org.opencontainers.image.title="ptx-node receiver" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.description="Research software, not a medical device"
RUN groupadd --gid 10001 ptx \
    && useradd --uid 10001 --gid ptx --no-create-home --home-dir /var/lib/ptx --shell /usr/sbin/nologin ptx \
    && install --directory --owner=ptx --group=ptx --mode=0750 /var/lib/ptx
COPY --from=build /opt/ptx-node /opt/ptx-node
ENV PATH=/opt/ptx-node/.venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    TCP_NODELAY=1
WORKDIR /var/lib/ptx
USER 10001:10001
VOLUME /var/lib/ptx
EXPOSE 11112 8042 2575 8043 8044
CMD ["ptx", "receive"]
