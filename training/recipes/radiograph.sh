#!/bin/sh
# The radiograph model: SIMULATED data, splits, training, judgement on patients and a site never trained on, bundle.
# Started again, it goes on where it was stopped. MINUTES of training; RECIPE=gpu for ResNet-34 at 512 and more patients.
# On a CPU it learns first on small pictures, at a fifth of the cost of a step, then on larger ones, then on larger ones yet with more
# patients in bed, whom it missed most; one thread a training loses the least, so that radiograph.sh and ct.sh are best run side by side.
set -eu
cd "$(dirname "$0")/../.."
python=${PYTHON:-.venv/bin/python}
home=${HOME_OF_MODELS:-build/models}/radiograph
minutes=${MINUTES:-170}
gpu=$([ "${RECIPE:-cpu}" = gpu ] && echo yes || echo)
# Large tensors come back to the heap instead of going back to the kernel: a tenth of a step on a CPU.
export MALLOC_MMAP_THRESHOLD_=4294967296 MALLOC_TRIM_THRESHOLD_=17179869184
simulate() { # folder, site, seed, patients, rows, more
    out=$1 site=$2 seed=$3 patients=$4 rows=$5 && shift 5
    "$python" -m training simulate --out "$home/$out" --site "$site" --seed "$seed" --patients "$patients" --rows "$rows" \
        --processes "${PROCESSES:-2}" "$@"
}
split() { [ -f "$home/$1.json" ] || "$python" -m training split --data "$2:$home/$1" --out "$home/$1.json" --shares 0.9 0.09 0.01; }
train() { # out, minutes, settings
    out=$1 budget=$2 && shift 2
    # shellcheck disable=SC2086 # words on purpose
    [ -f "$out/summary.json" ] || "$python" -m training train --config joint $data $splits --out "$out" --minutes "$budget" --resume "$@"
}

many=$([ "$gpu" ] && echo 6000 || echo 3000)
edge=$([ "$gpu" ] && echo 640 || echo 512)
simulate siim siim 1 "$many" "$edge"
split siim siim
data="--data siim:$home/siim" splits="--split $home/siim.json"
if [ ! "$gpu" ]; then
    cpu="--torch-threads 1 --set network.backbone=resnet18 --set network.decoder_channels=[64,48,32,16] --set data.epoch_images=6400
        --set data.validation_images=270 --set data.positive_rate=[0.7,0.5] --set loss.image=0.3 --set optimiser.ema=0.995
        --set augment.curve=0.6 --set augment.detail=0.4 --set augment.compression=0.3 --set augment.noise=0.02 --set augment.text=0.1"
    # shellcheck disable=SC2086
    train "$home/small" $((minutes * 21 / 100)) $cpu --set data.size=128 --set data.stored=160 --set augment.detail=0 --set augment.jpeg=0
fi
simulate toulouse toulouse 2 $((many / 5)) "$edge"
split toulouse dicom_seg
data="$data --data dicom_seg:$home/toulouse" splits="$splits --split $home/toulouse.json"
# shellcheck disable=SC2086
[ "$gpu" ] || train "$home/run" $((minutes * 38 / 100)) $cpu --set data.size=256 --set data.stored=320 \
    --set "network.start=$home/small/model.safetensors" --set stages.0.rate_from=6e-4
simulate bed siim 3 $((many * 3 / 5)) "$edge" --postures bedside_ap supine
split bed siim
data="$data --data siim:$home/bed" splits="$splits --split $home/bed.json"
# shellcheck disable=SC2086
if [ "$gpu" ]; then
    train "$home/fine" "$minutes"
else
    train "$home/fine" $((minutes * 41 / 100)) $cpu --set data.size=320 --set data.stored=384 --set optimiser.ema=0.998 \
        --set "network.start=$home/run/model.safetensors" --set stages.0.rate_from=5e-4
fi
simulate siim-test siim 11 400 0
simulate toulouse-test toulouse 12 150 0
simulate bedside-test bedside 13 250 0
# shellcheck disable=SC2086
"$python" -m training evaluate --run "$home/fine" $data --part test --out "$home/fine/evaluation" \
    --unseen "siim:$home/siim-test" --unseen "dicom_seg:$home/toulouse-test" --unseen "dicom_seg:$home/bedside-test"
"$python" -m training export --run "$home/fine" --out "$home/bundle" --name ptx-cxr-demo --model-version "${VERSION:-0.3.0}"
