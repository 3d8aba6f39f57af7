#!/usr/bin/env bash
# Makes sure that the image below which torrentnet's own is built exists on this machine, and prints its name.
# shellcheck disable=SC1091  # os-release is the machine's
set -euo pipefail

# A new number whenever what goes into it changes.
readonly IMAGE=torrentnet-base:1
readonly OFFICIAL=python:3.13-slim
readonly REGISTRY_ANSWER_S=15
readonly PULL_S=300
# What the official image holds (apt, Python), and what links and faults need.
readonly PACKAGES=apt,python3,iproute2,iptables,ethtool

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
work=
child=

usage() {
    cat <<TEXT
usage: scripts/base-image.sh [--help]

Prints the name of the base image, $IMAGE, after making sure that it is there. Without it:
  1. $OFFICIAL, when this machine has it or its registry answers within $REGISTRY_ANSWER_S s;
  2. else it is made from Debian packages with mmdebstrap (some 30 s).
To make it anew: docker image rm $IMAGE
TEXT
}

# The name is all of standard output; what happens is told on standard error.
say() { printf 'base image: %s\n' "$*" >&2; }

fail() {
    printf 'base image: error: %s\n' "$1" >&2
    shift
    local hint
    for hint in "$@"; do printf '            %s\n' "$hint" >&2; done
    exit 1
}

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

have_image() { docker image inspect --format '{{.Id}}' "$1" >/dev/null 2>&1; }

clean_up() {
    local status=$?
    trap - EXIT INT TERM HUP
    if [ -n "$child" ]; then
        kill "$child" 2>/dev/null || true
        wait "$child" 2>/dev/null || true
    fi
    # One file system only: should a mount be left in there, it is not ours to empty.
    [ -z "$work" ] || remove "$work"
    exit "$status"
}

remove() { rm -rf --one-file-system "$1" 2>/dev/null || as_root rm -rf --one-file-system "$1"; }

# A directory of our own, with our pid in its name so that the next run can tell what a kill -9 left.
make_work_directory() {
    local parent=${TMPDIR:-/var/tmp} old pid
    for old in "$parent"/torrentnet-base.*.*; do
        pid=${old%.*}
        pid=${pid##*.}
        if [ -d "$old" ] && [[ $pid =~ ^[0-9]+$ ]] && [ ! -d "/proc/$pid" ]; then remove "$old"; fi
    done
    work=$(mktemp -d "$parent/torrentnet-base.$$.XXXXXX")
    # mmdebstrap's own users have to reach what is in it.
    chmod 755 "$work"
}

# Runs a command so that Ctrl-C and a kill of this script end it too; its output goes to $work/log.
in_background() {
    : >"$work/log"
    setpriv --pdeathsig TERM "$@" >"$work/log" 2>&1 &
    child=$!
}

# 0 when the official image is here, 1 when no registry gave it.
pull_official() {
    local started=$SECONDS answered=no reason
    in_background docker pull "$OFFICIAL"
    while kill -0 "$child" 2>/dev/null; do
        if [ "$answered" = no ] && grep -q 'Pulling from' "$work/log"; then
            answered=yes
            say "pulling $OFFICIAL"
        fi
        if { [ "$answered" = no ] && [ $((SECONDS - started)) -ge "$REGISTRY_ANSWER_S" ]; } ||
            [ $((SECONDS - started)) -ge "$PULL_S" ]; then
            kill "$child" 2>/dev/null || true
            echo "no answer within $((SECONDS - started)) s" >>"$work/log"
            break
        fi
        sleep 0.05
    done
    if wait "$child"; then
        child=
        return 0
    fi
    child=
    reason=$(grep -v '^[[:space:]]*$' "$work/log" | tail -n 1 | sed 's/^Error response from daemon: //')
    say "no registry gives $OFFICIAL (${reason:0:160})"
    return 1
}

install_mmdebstrap() {
    command -v mmdebstrap >/dev/null && return
    command -v apt-get >/dev/null ||
        fail "without a registry the image is made from Debian packages, which needs Debian or Ubuntu" \
            "on a machine with a network: docker pull $OFFICIAL && docker save $OFFICIAL -o base.tar; here: docker load -i base.tar"
    [ "$(id -u)" = 0 ] || command -v sudo >/dev/null ||
        fail "mmdebstrap is missing, and installing it needs root" "run as root: apt-get install mmdebstrap"
    say "installing mmdebstrap"
    {
        as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=120 install --no-install-recommends mmdebstrap ||
            { as_root apt-get -q update && as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y \
                -o DPkg::Lock::Timeout=120 install --no-install-recommends mmdebstrap; }
    } >"$work/log" 2>&1 || {
        tail -n 15 "$work/log" >&2
        fail "apt-get could not install mmdebstrap" "its last lines are above"
    }
}

# The release whose packages the image is made of, and its archive's components.
suite() {
    (
        . /etc/os-release
        case $ID:$VERSION_CODENAME in
        ubuntu:*) echo "$VERSION_CODENAME main universe" ;;
        # For Python 3.13, which the official image has too.
        *:bookworm) echo "trixie main" ;;
        *) echo "$VERSION_CODENAME main" ;;
        esac
    )
}

# Imports $work/base.tar and gives it its name when what torrentnet needs of it works.
import_image() {
    local id
    id=$(docker import --change 'CMD ["bash"]' --change 'LABEL org.torrentnet.image=base' \
        --message "packages of $1" "$work/base.tar")
    if ! docker run --rm --network none "$id" sh -c 'command -v tc >/dev/null && command -v iptables >/dev/null && command -v ethtool >/dev/null &&
            python3 -c "import asyncio, sqlite3, sys; sys.exit(sys.version_info < (3, 11))"' >"$work/log" 2>&1; then
        docker image rm "$id" >/dev/null 2>&1 || true
        tail -n 5 "$work/log" >&2
        fail "the image made of $1's packages lacks something (Python 3.11 or newer, iproute2, iptables, ethtool)" \
            "use a newer release of the distribution, or a machine that reaches a registry"
    fi
    docker tag "$id" "$IMAGE"
}

make_from_packages() {
    local started=$SECONDS release components archive uri ring packages=$PACKAGES line status command=(mmdebstrap)
    install_mmdebstrap
    release=$(suite)
    components=${release#* }
    release=${release%% *}
    archive=$("$here/engine.sh" --archive)
    uri=${archive%% *}
    ring=${archive#* }
    # apt in the image speaks to the same archive when more is installed on top.
    case $uri in https:*) packages+=,ca-certificates ;; esac
    say "making it from packages of $release (some 30 s)"
    if [ "$(id -u)" != 0 ] && command -v sudo >/dev/null; then command=(sudo mmdebstrap); fi
    command+=(--variant=minbase "--include=$packages" --format=tar
        '--dpkgopt=path-exclude=/usr/share/man/*' '--dpkgopt=path-exclude=/usr/share/doc/*'
        '--dpkgopt=path-exclude=/usr/share/locale/*' '--dpkgopt=path-exclude=/usr/share/info/*')
    if [ -n "$ring" ]; then
        # The key ring may be the machine's own; the image's apt looks for it under the same name.
        command+=("--setup-hook=mkdir -p \"\$1${ring%/*}\"; cp \"$ring\" \"\$1$ring\"")
    fi
    command+=("$release" "$work/base.tar" "deb ${ring:+[signed-by=$ring] }$uri $release $components")
    TMPDIR=$work in_background "${command[@]}"
    status=0
    # tail ends with the process that it watches.
    while read -r line; do
        case $line in
        'I: running apt-get update'* | 'I: downloading'* | 'I: extracting archives'* | 'I: installing'* | 'I: creating tarball'*)
            line=${line#I: }
            say "  $((SECONDS - started)) s: ${line%...}"
            ;;
        esac
    done < <(tail -n +1 -f --pid="$child" -s 0.2 "$work/log")
    wait "$child" || status=$?
    child=
    if [ "$status" != 0 ]; then
        tail -n 15 "$work/log" >&2
        fail "mmdebstrap could not make the image (exit status $status)" "its last lines are above" \
            "look whether apt-get update works on this machine"
    fi
    say "  $((SECONDS - started)) s: importing $(($(stat -c %s "$work/base.tar") / 1000000)) MB"
    import_image "$release"
}

case ${1:-} in
'') ;;
-h | --help)
    usage
    exit 0
    ;;
*)
    usage >&2
    exit 2
    ;;
esac

if have_image "$IMAGE"; then
    say "$IMAGE is there"
    echo "$IMAGE"
    exit 0
fi
docker version --format '{{.Server.Version}}' >/dev/null 2>&1 ||
    fail "no Docker Engine answers" "make engine installs and starts one; scripts/engine.sh --check tells what is missing"

trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
# One at a time: who comes second finds the image made.
exec 9<"$here"
flock -n 9 || {
    say "waiting for another run of this script, which makes it just now"
    flock 9
}
if ! have_image "$IMAGE"; then
    make_work_directory
    if have_image "$OFFICIAL" || pull_official; then
        docker tag "$OFFICIAL" "$IMAGE"
        say "$IMAGE is $OFFICIAL"
    else
        make_from_packages
        say "$IMAGE is made from Debian packages"
    fi
fi
echo "$IMAGE"
