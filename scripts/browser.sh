#!/usr/bin/env bash
# Gives a Debian machine the Chromium in which the tests of the HTML pages run. What is there already is left alone.
set -euo pipefail

# Google's browser is on the machines of many CI services; it does as well.
readonly NAMES=(chromium google-chrome-stable google-chrome chromium-browser)
readonly APT_WAIT_S=120

usage() {
    cat <<'TEXT'
usage: scripts/browser.sh [--try | --find | --help]

Makes sure that this machine has Chromium, for the tests of the HTML pages. On Debian it installs
the distribution's own package. Needs root, or sudo. TORRENTNET_CHROMIUM=FILE names another program.

  --try   the same, but as root only, and exit status 0 whatever comes of it
  --find  change nothing; print the program's path, or exit with status 1 and say why
TEXT
}

say() { printf 'browser: %s\n' "$*"; }

fail() {
    printf 'browser: error: %s\n' "$1" >&2
    shift
    local hint
    for hint in "$@"; do printf '         %s\n' "$hint" >&2; done
    exit 1
}

# A snap reads no file below /tmp, and where snapd is missing Ubuntu's command is a script that only says so.
is_a_snap() {
    case $(readlink -f "$1") in */snap | */snap/*) return 0 ;; esac
    head -c 4096 "$1" | grep -aqE '/snap/|snap install'
}

find_browser() {
    local name path
    if [ -n "${TORRENTNET_CHROMIUM:-}" ]; then
        [ -x "$TORRENTNET_CHROMIUM" ] && [ ! -d "$TORRENTNET_CHROMIUM" ] || return 1
        printf '%s\n' "$TORRENTNET_CHROMIUM"
        return
    fi
    for name in "${NAMES[@]}"; do
        path=$(type -P "$name") || continue
        if is_a_snap "$path"; then continue; fi
        printf '%s\n' "$path"
        return
    done
    return 1
}

need_a_program() {
    [ -z "${TORRENTNET_CHROMIUM:-}" ] ||
        fail "TORRENTNET_CHROMIUM is $TORRENTNET_CHROMIUM, which is no program" \
            "let it name Chromium's program, or: unset TORRENTNET_CHROMIUM"
}

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

apt_quietly() {
    local log
    log=$(mktemp)
    if ! as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o "DPkg::Lock::Timeout=$APT_WAIT_S" "$@" >"$log" 2>&1; then
        tail -n 10 "$log" >&2
        rm -f "$log"
        return 1
    fi
    rm -f "$log"
}

# Ubuntu's package chromium-browser only installs a snap.
offered() { LC_ALL=C apt-cache policy chromium 2>/dev/null | awk '$1 == "Candidate:" && $2 != "(none)" {print $2}'; }

install_browser() {
    type -P apt-get >/dev/null ||
        fail "this script installs Chromium on Debian only" "install it with this machine's own means"
    [ "$(id -u)" = 0 ] || type -P sudo >/dev/null ||
        fail "installing Chromium needs root, and there is no sudo here" "run as root: scripts/browser.sh"
    if [ -z "$(offered)" ]; then
        say "reading the package lists (apt-get update)"
        apt_quietly update || say "apt-get update had errors, going on with the lists that it got"
    fi
    [ -n "$(offered)" ] ||
        fail "this machine's archive has no package chromium" \
            "Ubuntu has it as a snap only, which reads no file below /tmp: install Google Chrome"
    say "installing chromium (some 100 MB to fetch, a minute or less)"
    # Old lists name releases that the archive has replaced.
    apt_quietly install --no-install-recommends chromium fonts-dejavu-core ||
        { apt_quietly update && apt_quietly install --no-install-recommends chromium fonts-dejavu-core; } ||
        fail "apt-get could not install chromium" "its last lines are above; try: apt-get install chromium"
    say "to undo: apt-get purge chromium && apt-get autoremove"
    find_browser >/dev/null || fail "apt-get installed chromium, and there is no such command" "look at: dpkg -L chromium"
}

case ${1:-} in
'')
    if where=$(find_browser); then
        say "ready, nothing to do: $where"
        exit 0
    fi
    need_a_program
    install_browser
    say "ready: $(find_browser)"
    ;;
--try)
    if find_browser >/dev/null; then exit 0; fi
    if [ "$(id -u)" = 0 ] && [ -z "${TORRENTNET_CHROMIUM:-}" ] && (install_browser); then exit 0; fi
    say "no Chromium: the tests of the pages are skipped; make browser installs it"
    ;;
--find)
    if find_browser; then exit 0; fi
    need_a_program
    fail "there is no Chromium on this machine" "install it: make browser"
    ;;
-h | --help) usage ;;
*)
    usage >&2
    exit 2
    ;;
esac
