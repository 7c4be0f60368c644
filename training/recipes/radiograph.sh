#!/bin/sh
# The radiograph model: SIMULATED data, split, training, judgement on patients and a site never trained on, bundle.
# Started again, it goes on where it was stopped. MINUTES of training; RECIPE=gpu for ResNet-34 at 512 and more patients.
set -eu
cd "$(dirname "$0")/../.."
python=${PYTHON:-.venv/bin/python}
home=${HOME_OF_MODELS:-build/models}/radiograph
minutes=${MINUTES:-60}
if [ "${RECIPE:-cpu}" = gpu ]; then
    patients=6000 rows=640
    recipe=""
else
    patients=2400 rows=512
    recipe="--set data.size=256 --set data.stored=320 --set network.backbone=resnet18 --set network.decoder_channels=[64,48,32,16,8]
        --set data.positive_rate=[0.7,0.45] --set data.epoch_images=3200 --set data.validation_images=240 --set optimiser.ema=0.995"
fi
simulate() { "$python" -m training simulate --out "$home/$1" --site "$2" --seed "$3" --patients "$4" --rows "$5"; }

simulate siim siim 1 "$patients" "$rows"
simulate toulouse toulouse 2 "$((patients / 4))" "$rows"
simulate siim-test siim 11 400 0
simulate toulouse-test toulouse 12 150 0
simulate bedside-test bedside 13 250 0
data="--data siim:$home/siim --data dicom_seg:$home/toulouse"
[ -f "$home/split.json" ] || "$python" -m training split --data "siim:$home/siim" "dicom_seg:$home/toulouse" --out "$home/split.json" --shares 0.88 0.11 0.01
# shellcheck disable=SC2086 # words on purpose
[ -f "$home/run/summary.json" ] || "$python" -m training train --config joint $data --split "$home/split.json" --out "$home/run" --minutes "$minutes" --resume $recipe
# shellcheck disable=SC2086 # words on purpose
"$python" -m training evaluate --run "$home/run" $data --part test --out "$home/run/evaluation" \
    --unseen "siim:$home/siim-test" --unseen "dicom_seg:$home/toulouse-test" --unseen "dicom_seg:$home/bedside-test"
"$python" -m training export --run "$home/run" --out "$home/bundle" --name ptx-cxr-demo --model-version "${VERSION:-0.2.0}"
