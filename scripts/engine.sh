#!/usr/bin/env bash
# shellcheck disable=SC1091,SC2016  # os-release is the machine's; the single quotes are meant
# Gives a Debian or Ubuntu machine a working Docker Engine with Compose version 2, and starts it.
# Safe to call as often as you like: what is there already is left alone.
set -euo pipefail

readonly DOCKERD_LOG=/var/log/torrentnet-dockerd.log
readonly APT_SOURCE=/etc/apt/sources.list.d/torrentnet-trixie.sources
readonly APT_PIN=/etc/apt/preferences.d/torrentnet-trixie
readonly SOCKET_WAIT_S=60
# dockerd writes its pid file within this time; without one after it, it has ended.
readonly START_GRACE_S=5
readonly OPEN_FILES=65536
readonly COMMAND_WAIT_S=20

usage() {
    cat <<'TEXT'
usage: scripts/engine.sh [--check | --archive | --help]

Makes sure that this machine has a Docker Engine that runs, with Compose version 2 and Buildx,
and that `python3 -m venv` works. On Debian and Ubuntu it installs what is missing from the
distribution's own packages (on Debian 12: Docker's from Debian 13, pinned so that nothing else
comes from there) and starts the engine. Needs root, or sudo.

  --check    change nothing; exit status 0 when all is there, 1 when something is missing
  --archive  print the address and the key ring of the distribution's archive that this machine uses
TEXT
}

say() { printf 'engine: %s\n' "$*"; }

fail() {
    printf 'engine: error: %s\n' "$1" >&2
    shift
    local hint
    for hint in "$@"; do printf '        %s\n' "$hint" >&2; done
    exit 1
}

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

need_root() {
    [ "$(id -u)" = 0 ] || command -v sudo >/dev/null ||
        fail "installing and starting Docker needs root, and there is no sudo here" \
            "run as root: scripts/engine.sh"
}

# ---------------------------------------------------------------- what is there

# A client that waits for an engine that hangs must not hang this script.
# Not docker info: some clients end with 0 although there is no engine.
engine_answers() { timeout "$COMMAND_WAIT_S" docker version --format '{{.Server.Version}}' >/dev/null 2>&1; }

compose_works() {
    local version
    version=$(timeout "$COMMAND_WAIT_S" docker compose version --short 2>/dev/null) || return 1
    version=${version#v}
    [[ ${version%%.*} =~ ^[0-9]+$ ]] && [ "${version%%.*}" -ge 2 ]
}

buildx_works() { timeout "$COMMAND_WAIT_S" docker buildx version >/dev/null 2>&1; }

venv_works() { python3 -c 'import ensurepip, venv' >/dev/null 2>&1; }

socket_is_forbidden() {
    [ "$(id -u)" != 0 ] && [ -S /var/run/docker.sock ] && [ ! -w /var/run/docker.sock ]
}

versions() {
    printf 'Docker Engine %s, Compose %s, Buildx %s' \
        "$(docker version --format '{{.Server.Version}}' 2>/dev/null || echo '?')" \
        "$(docker compose version --short 2>/dev/null || echo missing)" \
        "$(docker buildx version 2>/dev/null | awk '{print $2}' || echo missing)"
}

missing() {
    command -v docker >/dev/null || echo "the docker command"
    compose_works || echo "Compose version 2"
    buildx_works || echo "Buildx"
    venv_works || echo "python3 -m venv"
    engine_answers || if socket_is_forbidden; then echo "the right to use the engine"; else echo "an engine that answers"; fi
}

# ---------------------------------------------------------------- apt

apt_quietly() {
    local log
    log=$(mktemp)
    if ! as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=120 "$@" >"$log" 2>&1; then
        tail -n 25 "$log" >&2
        rm -f "$log"
        return 1
    fi
    rm -f "$log"
}

log_start=1
apt_lists_are_fresh=no
refresh_lists() {
    [ "$apt_lists_are_fresh" = no ] || return 0
    say "reading the package lists (apt-get update)"
    # One foreign source that is away must not stop us: whether the packages are there is asked below.
    apt_quietly update || say "apt-get update had errors, going on with the lists that it got"
    apt_lists_are_fresh=yes
}

candidate() { LC_ALL=C apt-cache policy "$1" 2>/dev/null | awk '$1 == "Candidate:" && $2 != "(none)" {print $2}'; }

installed() { [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }

# The candidate's upstream major version, without the epoch ("1:2.26.1-4" is 2).
candidate_major() {
    local version
    version=$(candidate "$1")
    version=${version#*:}
    version=${version%%.*}
    [[ $version =~ ^[0-9]+$ ]] && echo "$version" || echo 0
}

os_field() { (. /etc/os-release && eval "printf '%s' \"\${$1:-}\""); }

# "URI<TAB>file:line" of the machine's main archive for this release, as apt itself understands its
# sources (both the one-line and the deb822 form).
main_archive() {
    local codename
    codename=$(os_field VERSION_CODENAME)
    apt-get indextargets --format '$(REPO_URI)	$(SOURCESENTRY)	$(RELEASE)	$(CODENAME)' \
        'Created-By: Packages' 'Component: main' |
        awk -F'\t' -v codename="$codename" '$3 == codename || $4 == codename {print $1 "\t" $2; exit}'
}

# The key ring that a source names; the distribution's own when it names none or holds the key inline.
signed_by() {
    local file=${1%:*} ring
    ring=$(sed -nE 's/^[[:space:]]*Signed-By:[[:space:]]*(\/[^[:space:]]+).*/\1/Ip; s/.*\[[^]]*signed-by=(\/[^] ]+).*/\1/p' \
        "$file" 2>/dev/null | head -n 1)
    [ -n "$ring" ] && [ -r "$ring" ] || ring=/usr/share/keyrings/$(os_field ID)-archive-keyring.gpg
    if [ -r "$ring" ]; then printf '%s' "$ring"; fi
}

# Sets URI and RING.
find_archive() {
    local archive
    archive=$(main_archive)
    [ -n "$archive" ] ||
        fail "found no archive for $(os_field VERSION_CODENAME) among apt's sources" \
            "look at /etc/apt/sources.list and /etc/apt/sources.list.d/: 'main' of your release has to be there"
    URI=${archive%%$'\t'*}
    RING=$(signed_by "${archive#*$'\t'}")
}

add_trixie() {
    find_archive
    say "adding Debian 13 (trixie) from this machine's own mirror, for Docker's four packages only:"
    say "  $APT_SOURCE, $APT_PIN"
    as_root tee "$APT_SOURCE" >/dev/null <<TEXT
# Written by torrentnet's scripts/engine.sh: Docker's packages. See $APT_PIN.
Types: deb
URIs: $URI
Suites: trixie
Components: main
${RING:+Signed-By: $RING}
TEXT
    as_root tee "$APT_PIN" >/dev/null <<'TEXT'
# Written by torrentnet's scripts/engine.sh. Nothing comes from trixie but Docker.
# Remove this file before you upgrade this machine to Debian 13.
Package: *
Pin: release n=trixie
Pin-Priority: 50

Package: docker.io docker-cli docker-compose docker-buildx
Pin: release n=trixie
Pin-Priority: 900
TEXT
    apt_lists_are_fresh=no
    refresh_lists
}

# Sets PACKAGES to what brings engine, Compose and Buildx on this distribution.
choose_packages() {
    if installed docker-ce; then
        PACKAGES=(docker-compose-plugin docker-buildx-plugin)
        return
    fi
    refresh_lists
    if [ -n "$(candidate docker-compose-v2)" ]; then
        PACKAGES=(docker.io docker-compose-v2 docker-buildx)
    else
        # Debian 12 has Compose 1 only; from Debian 13 on its own is version 2.
        [ "$(os_field VERSION_CODENAME)" != bookworm ] || [ "$(candidate_major docker-compose)" -ge 2 ] || add_trixie
        PACKAGES=(docker.io docker-cli docker-compose docker-buildx)
        [ "$(candidate_major docker-compose)" -ge 2 ] ||
            fail "$(os_field PRETTY_NAME) offers no Compose version 2" \
                "this script knows Debian 12 and newer, and Ubuntu 22.04 and newer (with universe)" \
                "elsewhere install Docker Engine after https://docs.docker.com/engine/install/ and come back"
    fi
    PACKAGES+=(iptables)
    # With AppArmor in the kernel, containers do not start unless its loader is there.
    if [ "$(cat /sys/module/apparmor/parameters/enabled 2>/dev/null)" = Y ]; then PACKAGES+=(apparmor); fi
}

install_docker() {
    local names
    choose_packages
    names=${PACKAGES[*]}
    say "installing $names (some 100 MB to fetch, a minute or less)"
    apt_quietly install --no-install-recommends "${PACKAGES[@]}" ||
        fail "apt-get could not install $names" "its last lines are above; try: apt-get install $names"
    hash -r
    say "to undo: apt-get purge ${names% iptables*}$([ ! -e "$APT_PIN" ] || echo " && rm -f $APT_SOURCE $APT_PIN")"
    say "         (images and containers are in /var/lib/docker)"
}

install_venv() {
    local names=(python3-venv) version
    command -v python3 >/dev/null || names+=(python3)
    if command -v python3 >/dev/null && [ "$(readlink -f "$(command -v python3)")" != "$(readlink -f /usr/bin/python3)" ]; then
        fail "python3 is $(command -v python3), which lacks venv or ensurepip" \
            "repair that Python, or put /usr/bin first in PATH"
    fi
    refresh_lists
    say "installing ${names[*]}, so that python3 -m venv works"
    apt_quietly install --no-install-recommends "${names[@]}" ||
        fail "apt-get could not install ${names[*]}" "its last lines are above"
    hash -r
    version=$(python3 -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    say "Python $version has venv now"
}

# The engine `local` hurts its network with the machine's own tools. A lab on Docker does without them, so that their
# lack is no failure here; `make doctor` tells of it.
local_tools_work() {
    local tool
    for tool in ip tc iptables ethtool; do
        PATH=$PATH:/usr/sbin:/sbin command -v "$tool" >/dev/null || return 1
    done
}

install_local_tools() {
    refresh_lists
    say "installing iproute2, iptables and ethtool, for network faults without Docker"
    apt_quietly install --no-install-recommends iproute2 iptables ethtool ||
        say "they could not be installed; faults then need Docker"
}

# ---------------------------------------------------------------- the engine

systemd_runs() { [ -d /run/systemd/system ]; }

# A dead process that its parent has not collected yet is still in /proc, as a zombie.
dockerd_lives() {
    local pid
    pid=$(cat /var/run/docker.pid 2>/dev/null) || return 1
    [[ $pid =~ ^[0-9]+$ ]] && [[ $(cat "/proc/$pid/stat" 2>/dev/null) =~ \(dockerd\)\ [^ZX] ]]
}

# After a power cut the pid file names a process that is somebody else by now, and dockerd would not start.
drop_stale_pid_file() { dockerd_lives || as_root rm -f /var/run/docker.pid; }

# Shows the last lines that this start left in the log (from byte $1 on) and prints a hint for them.
explain_dockerd() {
    local last
    last=$(as_root tail -c +"$1" "$DOCKERD_LOG" 2>/dev/null || true)
    printf '%s\n' "$last" | tail -n 15 >&2
    case $(grep -E 'level=(fatal|error)|failed to' <<<"$last" || true) in
    *iptables* | *nftables*)
        echo "the kernel's packet filter refuses: try update-alternatives --set iptables /usr/sbin/iptables-legacy;" \
            "a container needs --privileged"
        ;;
    *cgroup*mount*) echo "there are no control groups here: mount -t cgroup2 none /sys/fs/cgroup" ;;
    *ermission\ denied* | *not\ permitted*) echo "this seems to be a container without privileges: no engine runs in it" ;;
    *overlay* | *storage-driver*) echo "the file system below /var/lib/docker carries no overlay2" ;;
    *) echo "the whole log: $DOCKERD_LOG" ;;
    esac
}

start_engine() {
    if [ -n "${DOCKER_HOST:-}" ] && [ "${DOCKER_HOST#unix://}" = "$DOCKER_HOST" ]; then
        fail "DOCKER_HOST is $DOCKER_HOST, and no engine answers there" "start that engine, or: unset DOCKER_HOST"
    fi
    need_root
    if systemd_runs; then
        say "starting the engine (systemctl enable --now docker)"
        as_root systemctl enable --now docker >/dev/null 2>&1 ||
            fail "systemd could not start docker" "look at: journalctl -u docker -n 50"
    else
        local where
        # sbin is not on everybody's PATH.
        where=$(PATH=$PATH:/usr/sbin:/sbin:/usr/local/sbin command -v dockerd) ||
            fail "there is no dockerd on this machine, only a client" "install docker.io (or docker-ce)"
        say "starting dockerd in the background (no init system runs here); log: $DOCKERD_LOG"
        drop_stale_pid_file
        log_start=$(($(as_root stat -c %s "$DOCKERD_LOG" 2>/dev/null || echo 0) + 1))
        # The current shell's limit on open files would be every container's.
        as_root env PATH="$PATH:/usr/sbin:/sbin" bash -c '
            [ "$(ulimit -n)" = unlimited ] || [ "$(ulimit -n)" -ge '"$OPEN_FILES"' ] || ulimit -n '"$OPEN_FILES"' 2>/dev/null || true
            for fd in /proc/self/fd/*; do fd=${fd##*/}; [ "$fd" -le 2 ] || eval "exec $fd>&-"; done 2>/dev/null
            cd /
            setsid -f "$0" >>'"$DOCKERD_LOG"' 2>&1 </dev/null' "$where"
    fi
    wait_for_engine
}

wait_for_engine() {
    local deadline=$((SECONDS + SOCKET_WAIT_S)) patience=$((SECONDS + START_GRACE_S)) hint
    until as_root timeout 5 docker version --format '{{.Server.Version}}' >/dev/null 2>&1; do
        if systemd_runs; then
            [ "$SECONDS" -lt "$deadline" ] ||
                fail "the engine did not answer within $SOCKET_WAIT_S s" "look at: journalctl -u docker -n 50"
        elif [ "$SECONDS" -ge "$deadline" ] || { [ "$SECONDS" -ge "$patience" ] && ! dockerd_lives; }; then
            hint=$(explain_dockerd "$log_start")
            fail "the engine does not come up" "$hint" "start it by hand to see more: dockerd --debug"
        fi
        sleep 0.2
    done
}

# ---------------------------------------------------------------- main

case ${1:-} in
'') ;;
--check)
    lacking=$(missing)
    [ -z "$lacking" ] || fail "missing: ${lacking//$'\n'/, }" "make engine installs and starts it"
    say "ready: $(versions)"
    exit 0
    ;;
--archive)
    command -v apt-get >/dev/null || fail "no apt on this machine"
    find_archive
    printf '%s %s\n' "$URI" "$RING"
    exit 0
    ;;
-h | --help)
    usage
    exit 0
    ;;
*)
    usage >&2
    exit 2
    ;;
esac

if ! local_tools_work && command -v apt-get >/dev/null && { [ "$(id -u)" = 0 ] || command -v sudo >/dev/null; }; then
    install_local_tools
fi

if engine_answers && compose_works && buildx_works && venv_works; then
    say "ready, nothing to do: $(versions)"
    exit 0
fi

if [ "$(uname -s)" != Linux ] || ! command -v apt-get >/dev/null; then
    fail "this script installs on Debian and Ubuntu only" \
        "install Docker Engine with Compose (or Docker Desktop) after https://docs.docker.com/engine/install/" \
        "then make up works here too; it needs python3 3.11 or newer with venv"
fi

if ! venv_works; then
    need_root
    install_venv
fi

# Asked as root as well: an engine that runs and only refuses this user needs no second installation.
if ! command -v docker >/dev/null || ! compose_works || ! buildx_works ||
    { ! engine_answers && ! socket_is_forbidden && ! PATH=$PATH:/usr/sbin:/sbin command -v dockerd >/dev/null && [ -z "${DOCKER_HOST:-}" ]; }; then
    need_root
    install_docker
fi

engine_answers || socket_is_forbidden || start_engine

if ! engine_answers && socket_is_forbidden; then
    fail "the engine runs, but $(id -un) may not use it" \
        "sudo usermod -aG docker $(id -un), then log in again (or: newgrp docker)"
fi
compose_works || fail "docker compose is no command of $(command -v docker)" \
    "its plugin is at /usr/libexec/docker/cli-plugins; docker info --format '{{.ClientInfo.Plugins}}' tells what this client sees"
say "ready: $(versions)"
systemd_runs || say "to stop it: kill \$(cat /var/run/docker.pid); after a restart of the machine: make engine"
