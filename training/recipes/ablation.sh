#!/bin/sh
# The sixteen settings of the ablation study on SIMULATED patients, small enough for a CPU: SEEDS runs of each, of EPOCHS of 50 steps and one
# before them with the encoder frozen. Steps and not minutes, so that a machine with other work to do is as fair to all settings as an idle one.
set -eu
cd "$(dirname "$0")/../.."
python=${PYTHON:-.venv/bin/python}
models=${HOME_OF_MODELS:-build/models}
home=$models/ablation
export MALLOC_MMAP_THRESHOLD_=4294967296 MALLOC_TRIM_THRESHOLD_=17179869184 # as in radiograph.sh

# The set of radiograph.sh, by the same words.
"$python" -m training simulate --out "$models/radiograph/siim" --site siim --seed 1 --patients 3000 --rows 512 --processes "${PROCESSES:-2}"
mkdir -p "$home"
[ -f "$home/split.json" ] || "$python" -m training split --data "siim:$models/radiograph/siim" --out "$home/split.json" --shares 0.5 0.49 0.01
exec "$python" -m training ablate --data "siim:$models/radiograph/siim" --split "$home/split.json" --out "$home/result" --seeds "${SEEDS:-2}" --torch-threads 1 \
    --set data.size=128 --set data.stored=128 --set network.backbone=resnet18 --set "network.decoder_channels=[64,48,32,16]" \
    --set network.centre_filters=64 --set data.epoch_images=1600 --set data.validation_images=400 --set stages.0.epochs=1 \
    --set "stages.1.epochs=${EPOCHS:-9}" "$@"
