#!/bin/sh
# The sixteen settings of the ablation study on SIMULATED patients, small enough for a CPU: SEEDS runs of each, of EPOCHS of 25 steps and one
# before them with the encoder frozen. Steps and not minutes, so that a machine with other work to do is as fair to all settings as an idle one.
# The study began with an encoder from ImageNet; these begin with that of the radiograph model that ships, which learnt on other patients.
set -eu
cd "$(dirname "$0")/../.."
python=${PYTHON:-.venv/bin/python}
home=${HOME_OF_MODELS:-build/models}/ablation
start=ptx_node/model/bundles/ptx-cxr-demo/models/model.safetensors
export MALLOC_MMAP_THRESHOLD_=4294967296 MALLOC_TRIM_THRESHOLD_=17179869184 # as in radiograph.sh

"$python" -m training simulate --out "$home/siim" --site siim --seed 5 --patients 1700 --rows 256 --processes "${PROCESSES:-2}"
[ -f "$home/split.json" ] || "$python" -m training split --data "siim:$home/siim" --out "$home/split.json" --shares 0.5 0.49 0.01
exec "$python" -m training ablate --data "siim:$home/siim" --split "$home/split.json" --out "$home/result" --seeds "${SEEDS:-2}" --torch-threads 1 \
    --set data.size=128 --set data.stored=128 --set network.backbone=resnet18 --set "network.encoder_weights=$start" \
    --set "network.decoder_channels=[64,48,32,16]" --set network.centre_filters=64 --set data.epoch_images=800 --set data.validation_images=400 \
    --set stages.0.epochs=1 --set "stages.1.epochs=${EPOCHS:-8}" "$@"
