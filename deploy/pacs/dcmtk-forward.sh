#!/bin/sh
# DCMTK's storescp forwards what it receives to ptx-node. A file stays in the spool folder until the node has taken it.
#
#   export PTX_HOST=10.1.2.3 PTX_PORT=11112 TCP_NODELAY=1
#   storescp --fork --aetitle ROUTER --promiscuous --accept-all --output-directory /var/spool/ptx --unique-filenames \
#            --exec-on-reception '/opt/ptx-node/deploy/pacs/dcmtk-forward.sh #p/#f' 104
#
# --unique-filenames: names that owe nothing to what a peer sent, since they become part of a command line.
# Every few minutes, by cron, for what the node did not take at the time: dcmtk-forward.sh --retry /var/spool/ptx
# By hand, without a router: dcmsend --aetitle ROUTER --call PTX --no-uid-checks --scan-directories 10.1.2.3 11112 FOLDER
set -u

dcmtk=${PTX_DCMTK:-/usr/bin}
host=${PTX_HOST:?address of the node}
port=${PTX_PORT:-11112}
called=${PTX_CALLED_AE:-PTX}
calling=${PTX_CALLING_AE:-ROUTER}

# One file: sent, then removed. Anything but radiographs and CT is removed unsent; of secondary captures, those of CR and DX go.
forward() {
    case $("$dcmtk/dcmdump" --search SOPClassUID --search Modality "$1" 2>/dev/null) in
    *=ComputedRadiographyImageStorage* | *=DigitalXRayImageStorageForPresentation* | *=CTImageStorage* | *=EnhancedCTImageStorage*) ;;
    *=SecondaryCaptureImageStorage*"[CR]"* | *=SecondaryCaptureImageStorage*"[DX]"*) ;;
    *)
        rm -f -- "$1"
        return 0
        ;;
    esac
    # Sent as it is: never decompressed on the way. dcmsend exits 0 even if the peer refused: its report tells.
    report=$(mktemp) || return 1
    "$dcmtk/dcmsend" --quiet --decompress-never --no-uid-checks --create-report-file "$report" \
        --aetitle "$calling" --call "$called" "$host" "$port" "$1"
    answer=$(sed -n 's/^DIMSE Status *: *//p' "$report")
    rm -f -- "$report"
    case $answer in
    0x0000* | 0xB0* | 0xb0*) rm -f -- "$1" ;;
    *)
        logger -t ptx-forward "not taken by $called at $host:$port (${answer:-no answer}), kept for later: $1" 2>/dev/null
        return 1
        ;;
    esac
}

case ${1:-} in
--retry)
    status=0
    # Older than two minutes: a younger one is still being received or sent.
    find "${2:?folder}" -maxdepth 1 -type f -mmin "+${PTX_RETRY_MINUTES:-2}" >"${2}/.retry"
    while IFS= read -r file; do
        [ "$file" = "$2/.retry" ] || forward "$file" || status=1
    done <"${2}/.retry"
    rm -f "${2}/.retry"
    exit "$status"
    ;;
"")
    echo "usage: dcmtk-forward.sh FILE | --retry FOLDER" >&2
    exit 2
    ;;
*) forward "$1" ;;
esac
