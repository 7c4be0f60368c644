#!/bin/sh
# The thesis's story on SIMULATED patients: trained at `siim`, tested at `toulouse` and `bedside`. MINUTES for each of the five models.
set -eu
cd "$(dirname "$0")/../.."
python=${PYTHON:-.venv/bin/python}
home=${HOME_OF_MODELS:-build/models}/generalise
simulate() { "$python" -m training simulate --out "$home/$1" --site "$1" --seed "$2" --patients "$3" --rows "$4"; }

simulate siim 41 1500 512
simulate toulouse 42 900 625
simulate bedside 43 900 512
exec "$python" -m training generalise --data "siim:$home/siim" --other "dicom_seg:$home/toulouse" --other "dicom_seg:$home/bedside" \
    --out "$home/result" --minutes "${MINUTES:-8}" --set network.backbone=resnet18 "$@"
