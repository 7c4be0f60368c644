# Inference and delivery workers, with CUDA: PyPI's torch brings the CUDA libraries of its own version as wheels, so that
# the host needs the NVIDIA driver and its container toolkit only. Without a GPU the same image works on the CPU.
# Build from the root of the repository: docker build -f deploy/worker.Dockerfile -t ptx-node-worker .
# A smaller image for hosts without a GPU: add --build-arg TORCH_INDEX=… with the address of an index of CPU builds.
FROM python:3.11-slim-bookworm AS build
ARG TORCH_INDEX=""
WORKDIR /opt/ptx-node
RUN python -m venv .venv
COPY deploy/requirements/base.txt deploy/requirements/worker.txt deploy/requirements/export.txt deploy/requirements/
COPY deploy/install-torch.sh deploy/
# torch first and exactly, so that the layer of gigabytes is built again for a new torch only.
RUN PIP_NO_CACHE_DIR=1 sh deploy/install-torch.sh .venv/bin/python "$(grep '^torch==' deploy/requirements/worker.txt)"
RUN .venv/bin/pip install --no-cache-dir --no-compile -r deploy/requirements/base.txt -r deploy/requirements/worker.txt \
      -r deploy/requirements/export.txt
COPY pyproject.toml README.md LICENSE ./
COPY ptx_node ptx_node
COPY alembic alembic
RUN .venv/bin/pip install --no-cache-dir --no-deps --no-build-isolation --editable .

FROM python:3.11-slim-bookworm
LABEL org.opencontainers.image.title="ptx-node worker" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.description="Research software, not a medical device"
RUN groupadd --gid 10001 ptx \
    && useradd --uid 10001 --gid ptx --no-create-home --home-dir /var/lib/ptx --shell /usr/sbin/nologin ptx \
    && install --directory --owner=ptx --group=ptx --mode=0750 /var/lib/ptx
COPY --from=build /opt/ptx-node /opt/ptx-node
ENV PATH=/opt/ptx-node/.venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    TCP_NODELAY=1 \
    NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility
WORKDIR /var/lib/ptx
USER 10001:10001
VOLUME /var/lib/ptx
CMD ["ptx", "worker", "--queue", "infer"]
