#!/bin/sh
# The thesis's story on SIMULATED patients: trained at `siim`, tested at `toulouse` and `bedside`. BASE minutes for what the five models have
# in common, then MINUTES for each. One thread, so that it may run beside another training.
set -eu
cd "$(dirname "$0")/../.."
python=${PYTHON:-.venv/bin/python}
models=${HOME_OF_MODELS:-build/models}
home=$models/generalise
export MALLOC_MMAP_THRESHOLD_=4294967296 MALLOC_TRIM_THRESHOLD_=17179869184 # as in radiograph.sh
simulate() { # folder, site, seed, patients
    "$python" -m training simulate --out "$1" --site "$2" --seed "$3" --patients "$4" --rows 512 --processes "${PROCESSES:-2}"
}

simulate "$models/radiograph/siim" siim 1 3000 # the sets of radiograph.sh, by the same words
simulate "$models/radiograph/toulouse" toulouse 2 600
simulate "$home/bedside" bedside 43 600
exec "$python" -m training generalise --config one_site --data "siim:$models/radiograph/siim" --other "dicom_seg:$models/radiograph/toulouse" \
    --other "dicom_seg:$home/bedside" --out "$home/result" --base-minutes "${BASE:-25}" --minutes "${MINUTES:-7}" --torch-threads 1 \
    --set data.epoch_images=3200 --set data.validation_images=240 "$@"
