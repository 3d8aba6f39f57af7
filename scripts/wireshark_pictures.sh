#!/usr/bin/env bash
# Takes the pictures of docs/wireshark.md: Wireshark's own window on a screen in memory, with a capture that
#   torrentnet run partition_heals --engine local --capture --full --small-blocks
# has made. usage: scripts/wireshark_pictures.sh CAPTURE.pcapng
# Needs, from Debian: wireshark tshark xvfb x11-utils imagemagick
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly CAPTURE=${1:?usage: scripts/wireshark_pictures.sh CAPTURE.pcapng}
readonly SCRIPT=lua_script:docs/torrentnet.lua SIZE=1280x800 SECONDS_TO_DRAW=15

home=$(mktemp -d)
screen=
cleanup() {
    [ -z "$screen" ] || kill "$screen" 2>/dev/null || true
    rm -rf "$home"
}
trap cleanup EXIT

mkdir -p "$home/.config/wireshark"
cat >"$home/.config/wireshark/preferences" <<'TEXT'
gui.update.enabled: FALSE
gui.ask_unsaved: FALSE
nameres.network_name: TRUE
nameres.use_external_name_resolver: FALSE
TEXT
cat >"$home/.config/wireshark/recent_common" <<'TEXT'
gui.geometry_main_x: 0
gui.geometry_main_y: 0
gui.geometry_main_width: 1280
gui.geometry_main_height: 800
gui.geometry_main_maximized: FALSE
TEXT
cat >"$home/.config/wireshark/recent" <<'TEXT'
gui.geometry_main_upper_pane: 470
gui.geometry_main_lower_pane: 560
column.width: %m,60,%t,110,%s,90,%d,90,%p,100,%L,60,%i,700
TEXT

# The server finds a free number itself, and says which when it is ready.
exec 3< <(exec Xvfb -displayfd 1 -screen 0 "${SIZE}x24" 2>/dev/null)
screen=$!
read -r number <&3
export DISPLAY=":$number" HOME="$home" QT_QPA_PLATFORM=xcb XDG_RUNTIME_DIR="$home"

picture() { # NAME FILTER FILTER-OF-THE-SELECTED-PACKET
    local packet window
    packet=$(tshark -X "$SCRIPT" -r "$CAPTURE" -Y "$3" -T fields -e frame.number 2>/dev/null | sed -n 1p)
    wireshark -X "$SCRIPT" -r "$CAPTURE" -Y "$2" -g "$packet" >/dev/null 2>&1 &
    window=$!
    sleep "$SECONDS_TO_DRAW"
    import -window root +dither -colors 200 "PNG8:docs/pictures/$1.png"
    kill "$window"
    wait "$window" || true
    printf 'docs/pictures/%s.png\n' "$1"
}

picture wireshark-begin 'torrentnet || systemd_journal || bittorrent' 'torrentnet && frame contains "myfile.txt"'
picture wireshark-cut 'torrentnet.stopped_by' 'torrentnet && torrentnet.stopped_by'
