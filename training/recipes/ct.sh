#!/bin/sh
# The CT model: SIMULATED data, split, training on crops, judgement on patients never trained on, bundle.
# Started again, it goes on where it was stopped. MINUTES of training: first on crops of half the resolution, then at the whole one, then
# once more from there at a lower rate and with a longer average.
set -eu
cd "$(dirname "$0")/../.."
python=${PYTHON:-.venv/bin/python}
home=${HOME_OF_MODELS:-build/models}/ct
minutes=${MINUTES:-90}
export MALLOC_MMAP_THRESHOLD_=4294967296 MALLOC_TRIM_THRESHOLD_=17179869184 # as in radiograph.sh
simulate() {
    "$python" -m training simulate --out "$home/$1" --site ct64 --seed "$2" --patients "$3" --rows 512 --positives "$4" --slice-mm "$5" \
        --processes "${PROCESSES:-2}"
}
train() { # out, minutes, settings
    out=$1 budget=$2 && shift 2
    [ -f "$out/summary.json" ] || "$python" -m training train --config ct --data "ct_folder:$home/train" --split "$home/split.json" \
        --out "$out" --minutes "$budget" --resume --torch-threads 1 --set "network.decoder_channels=[64,48,32,16]" \
        --set data.validation_images=160 --set data.epoch_images=6400 "$@"
}

simulate train 21 "${PATIENTS:-160}" 0.75 7
[ -f "$home/split.json" ] || "$python" -m training split --data "ct_folder:$home/train" --out "$home/split.json" --shares 0.87 0.12 0.01
train "$home/small" $((minutes * 22 / 100)) --set optimiser.ema=0.995 --set data.size=128 --set data.stored=256 --set data.answer=256
train "$home/run" $((minutes * 51 / 100)) --set optimiser.ema=0.995 --set "network.start=$home/small/model.safetensors" --set stages.0.rate_from=6e-4
train "$home/fine" $((minutes * 27 / 100)) --set optimiser.ema=0.998 --set "network.start=$home/run/model.safetensors" --set stages.0.rate_from=3e-4
simulate test 31 40 0.6 5
"$python" -m training evaluate --run "$home/fine" --data "ct_folder:$home/train" --part test --unseen "ct_folder:$home/test" --out "$home/fine/evaluation"
"$python" -m training export --run "$home/fine" --out "$home/bundle" --name ptx-ct-demo --model-version "${VERSION:-0.2.0}"
