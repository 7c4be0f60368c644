#!/bin/sh
# Install one exact version of torch: install-torch.sh PYTHON torch==VERSION
# Where pip looks is decided by its own configuration (a mirror, a wheel folder), or by $TORCH_INDEX: the public build brings
# the CUDA libraries (gigabytes); on a machine without a GPU, name PyTorch's own index of CPU builds there to do without.
set -eu

python=$1
pin=$2
if [ -n "${TORCH_INDEX:-}" ]; then
    exec "$python" -m pip install --quiet --no-input --disable-pip-version-check --index-url "$TORCH_INDEX" "$pin"
fi
exec "$python" -m pip install --quiet --no-input --disable-pip-version-check "$pin"
