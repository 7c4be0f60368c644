#!/bin/sh
# Install one exact version of torch: install-torch.sh PYTHON torch==VERSION
# PyPI's build brings the CUDA libraries (gigabytes). A machine without an NVIDIA driver takes the CPU build of the same
# version from PyTorch's own index, unless pip has been configured here (a mirror, a wheel folder), which then decides.
# $TORCH_INDEX overrides both.
set -eu

python=$1
pin=$2
install() {
    "$python" -m pip install --quiet --no-input --disable-pip-version-check "$@" "$pin"
}

if [ -n "${TORCH_INDEX:-}" ]; then
    install --index-url "$TORCH_INDEX"
elif command -v nvidia-smi >/dev/null || [ -n "$("$python" -m pip config list)" ]; then
    install
else
    install --retries 1 --index-url https://index.example/cpu || install
fi
