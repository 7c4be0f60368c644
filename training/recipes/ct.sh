#!/bin/sh
# The CT model: SIMULATED data, split, training on crops, judgement on patients never trained on, bundle.
# Started again, it goes on where it was stopped. MINUTES of training.
set -eu
cd "$(dirname "$0")/../.."
python=${PYTHON:-.venv/bin/python}
home=${HOME_OF_MODELS:-build/models}/ct
simulate() { "$python" -m training simulate --out "$home/$1" --site ct64 --seed "$2" --patients "$3" --rows 512 --positives "$4" --slice-mm "$5"; }

simulate train 21 "${PATIENTS:-160}" 0.75 7
simulate test 31 40 0.6 5
data="--data ct_folder:$home/train"
[ -f "$home/split.json" ] || "$python" -m training split --data "ct_folder:$home/train" --out "$home/split.json" --shares 0.85 0.14 0.01
# shellcheck disable=SC2086 # words on purpose
[ -f "$home/run/summary.json" ] || "$python" -m training train --config ct $data --split "$home/split.json" --out "$home/run" --minutes "${MINUTES:-50}" --resume \
    --set data.validation_images=160 --set data.epoch_images=3200 --set optimiser.ema=0.995
# shellcheck disable=SC2086 # words on purpose
"$python" -m training evaluate --run "$home/run" $data --part test --unseen "ct_folder:$home/test" --out "$home/run/evaluation"
"$python" -m training export --run "$home/run" --out "$home/bundle" --name ptx-ct-demo --model-version "${VERSION:-0.2.0}"
