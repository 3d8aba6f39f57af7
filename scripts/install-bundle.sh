#!/bin/sh
# Installs torrentnet from this archive, without a network: sh install.sh [DIRECTORY]
# The directory (default: torrentnet) gets the environment .venv; runs are recorded there.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
target=${1:-torrentnet}
python=${PYTHON:-python3}

fail() {
    printf 'install: error: %s\n' "$1" >&2
    [ $# = 1 ] || printf '         %s\n' "$2" >&2
    exit 1
}

command -v "$python" >/dev/null || fail "there is no $python" "name another Python: PYTHON=python3.12 sh $0"
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
    fail "Python 3.11 or newer is needed; $python is $("$python" --version 2>&1)" "name another: PYTHON=python3.12 sh $0"
mkdir -p "$target"
"$python" -m venv "$target/.venv" || fail "$python -m venv failed" "on Debian and Ubuntu: apt-get install python3-venv"

# A user's settings for other installs must not count here.
unset PIP_TARGET PIP_PREFIX PIP_ROOT PIP_CONSTRAINT PIP_REQUIREMENT || true
PIP_USER=0 "$target/.venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-index \
    --find-links "$here/wheels" 'torrentnet[lab]' ||
    fail "no wheels for this machine: $("$python" --version 2>&1), $(uname -m)" \
        "make the archive again for it: make bundle python=\"3.11 3.12 3.13\""
echo "installed in $target/.venv"

if ! command -v docker >/dev/null; then
    echo "there is no Docker here: labs run as ordinary processes"
elif docker load --quiet --input "$here/image.tar.gz"; then
    echo "the image is loaded"
else
    echo "the image could not be loaded; when a Docker Engine answers: docker load --input $here/image.tar.gz" >&2
fi
echo "try: cd $target && .venv/bin/torrentnet run three_seeders"
