#!/bin/sh
# The thesis's story on SIMULATED patients: trained at `siim`, tested at `toulouse` and `bedside`. BASE minutes for what the five models have
# in common, then MINUTES for each. One thread, so that it may run beside another training.
set -eu
cd "$(dirname "$0")/../.."
python=${PYTHON:-.venv/bin/python}
home=${HOME_OF_MODELS:-build/models}/generalise
export MALLOC_MMAP_THRESHOLD_=4294967296 MALLOC_TRIM_THRESHOLD_=17179869184 # as in radiograph.sh
simulate() {
    "$python" -m training simulate --out "$home/$1" --site "$1" --seed "$2" --patients "$3" --rows "$4" --processes "${PROCESSES:-2}"
}

simulate siim 41 2400 512
simulate toulouse 42 800 512
simulate bedside 43 800 512
exec "$python" -m training generalise --config one_site --data "siim:$home/siim" --other "dicom_seg:$home/toulouse" \
    --other "dicom_seg:$home/bedside" --out "$home/result" --base-minutes "${BASE:-25}" --minutes "${MINUTES:-7}" --torch-threads 1 \
    --set data.epoch_images=3200 --set data.validation_images=240 "$@"
