#!/bin/sh
# Install the Debian packages of the demo or of the tests, where they are missing: debian-packages.sh demo|test
# Installs as root, or by sudo where that asks no password. Where it may not, it says what to install.
# Exit: 0 all there; 1 some are missing.
set -u

# What the demo uses: a real PACS.
packages="python3-venv orthanc orthanc-dicomweb"
case "${1:-}" in
demo) ;;
test)
    # Other implementations to test against (dcmtk, Redis, PostgreSQL), validators of what the node writes (dicom3tools,
    # PixelMed), and linters of what stands in deploy/.
    packages="$packages dcmtk dicom3tools libpixelmed-java default-jre-headless redis-server postgresql openssl shellcheck systemd prometheus"
    packages="$packages chromium fonts-dejavu-core"
    ;;
*)
    echo "usage: debian-packages.sh demo|test" >&2
    exit 2
    ;;
esac

missing() {
    for package in $packages; do
        dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || printf '%s ' "$package"
    done
}

explain() {
    echo "$1" >&2
    echo "  missing: $wanted" >&2
    echo "  install: apt-get update && apt-get install --no-install-recommends $wanted" >&2
    if [ "$2" = demo ]; then
        echo "  The demo goes on without a PACS and delivers its results to a folder." >&2
    fi
    exit 1
}

if ! command -v dpkg-query >/dev/null; then
    wanted=$packages
    explain "This is not Debian or Ubuntu: please install the equivalents of these packages." "$1"
fi
wanted=$(missing)
[ -z "$wanted" ] && exit 0

if [ "$(id -u)" = 0 ]; then
    as_root=""
elif sudo -n true 2>/dev/null; then
    as_root="sudo -n"
else
    explain "Some Debian packages are missing, and this account may not install them." "$1"
fi

echo "installing Debian packages: $wanted"
# The servers are started by demo and tests themselves, on free ports: Debian need not start its own (RUNLEVEL=1).
install="env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get -qq -o DPkg::Lock::Timeout=300 install --no-install-recommends -y"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
# shellcheck disable=SC2086 # lists of words, meant to be split
if $as_root apt-get -qq update >"$log" 2>&1 && $as_root $install $wanted >>"$log" 2>&1; then
    wanted=$(missing)
    [ -z "$wanted" ] && exit 0
fi
tail -n 15 "$log" >&2
wanted=$(missing)
explain "Debian packages could not be installed (the end of apt-get's own words is above)." "$1"
