#!/bin/sh
# The CT model: SIMULATED data, split, training on crops, judgement on patients never trained on, bundle.
# Started again, it goes on where it was stopped. MINUTES of training: first on crops of half the resolution, then at the whole one, then
# once more from there at a lower rate and with a longer average; at last, with more patients, on crops of the very pixels, since most of what
# was wrong with thin layers of air lay in the pixels of their edge, which turned and zoomed crops do not show as they are.
set -eu
cd "$(dirname "$0")/../.."
python=${PYTHON:-.venv/bin/python}
home=${HOME_OF_MODELS:-build/models}/ct
minutes=${MINUTES:-130}
export MALLOC_MMAP_THRESHOLD_=4294967296 MALLOC_TRIM_THRESHOLD_=17179869184 # as in radiograph.sh
simulate() {
    "$python" -m training simulate --out "$home/$1" --site ct64 --seed "$2" --patients "$3" --rows 512 --positives "$4" --slice-mm "$5" \
        --processes "${PROCESSES:-2}"
}
train() { # out, minutes, settings
    out=$1 budget=$2 && shift 2
    # shellcheck disable=SC2086 # words on purpose
    [ -f "$out/summary.json" ] || "$python" -m training train --config ct $data --out "$out" --minutes "$budget" --resume --torch-threads 1 \
        --set "network.decoder_channels=[64,48,32,16]" --set data.validation_images=160 --set data.epoch_images=6400 "$@"
}
split() { [ -f "$home/$2" ] || "$python" -m training split --data "ct_folder:$home/$1" --out "$home/$2" --shares "$3" "$4" 0.01; }

simulate train 21 "${PATIENTS:-160}" 0.75 7
split train split.json 0.87 0.12
data="--data ct_folder:$home/train --split $home/split.json"
train "$home/small" $((minutes * 15 / 100)) --set optimiser.ema=0.995 --set data.size=128 --set data.stored=256 --set data.answer=256
train "$home/run" $((minutes * 36 / 100)) --set optimiser.ema=0.995 --set "network.start=$home/small/model.safetensors" --set stages.0.rate_from=6e-4
train "$home/fine" $((minutes * 19 / 100)) --set optimiser.ema=0.998 --set "network.start=$home/run/model.safetensors" --set stages.0.rate_from=3e-4
simulate more 22 120 0.75 7
split more more.json 0.9 0.09
data="$data --data ct_folder:$home/more --split $home/more.json"
train "$home/exact" $((minutes * 30 / 100)) --set optimiser.ema=0.998 --set "network.start=$home/fine/model.safetensors" --set stages.0.rate_from=3e-4 \
    --set augment.whole_pixels=true --set "augment.zoom=[2.0,2.0]" --set augment.rotation_deg=0 --set augment.stretch=0 --set augment.blur=0 \
    --set augment.hu_noise=10 --set loss.lovasz=0.5
simulate test 31 40 0.6 5
"$python" -m training evaluate --run "$home/exact" --data "ct_folder:$home/train" --data "ct_folder:$home/more" --part test \
    --unseen "ct_folder:$home/test" --out "$home/exact/evaluation"
"$python" -m training export --run "$home/exact" --out "$home/bundle" --name ptx-ct-demo --model-version "${VERSION:-0.3.0}"
