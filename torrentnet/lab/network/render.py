"""One node's settings as a shell script for the node's network namespace.

Root runs the script. From no settings, or from settings that are known to be in force, the script changes only what
differs, so that the queues of other links keep their packets. From an unknown state it removes everything of ours
first. What was counted under rules that end is printed before they end (see :mod:`torrentnet.lab.network.counters`).

``torrentnet explain`` shows the same text, so it is written to be read.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from torrentnet.lab.network import counters, filter_rules, loopback, shaping

if TYPE_CHECKING:
    from torrentnet.lab.network.impairment import CapabilitySplit
    from torrentnet.lab.network.node_settings import NodeSettings

SHELL: Final = ("sh", "-s")
"""Reads the script on its standard input."""
DEVICE: Final = '"$device"'

# By address: unplugging a container's cable and plugging it in again gives the interface another name.
FIND_DEVICE: Final = """\
set -eu
device=$(set -- $(ip -o -4 address show to {address}/32); echo "${{2-}}")
if [ -z "$device" ]; then echo "no interface has the address {address}" >&2; exit 4; fi
"""

REMOVE_SHAPING: Final = f"tc qdisc del dev {DEVICE} root handle {shaping.ROOT:x}: 2>/dev/null || :\n"
OPEN_GATE_LENGTH: Final = "1001"
"""Transmit queue length of the loopback interface that tells a node's program that its network is ready."""
OPEN_GATE: Final = f"ip link set dev lo txqueuelen {OPEN_GATE_LENGTH}\n"
ENABLE_OFFLOAD: Final = f"ethtool -K {DEVICE} tso on gso on\n"
DISABLE_OFFLOAD: Final = f"ethtool -K {DEVICE} tso off gso off\n"
RESTORE: Final = "iptables-restore --noflush -w <<END\n{}END\n"


def render(settings: NodeSettings, before: NodeSettings | None, split: CapabilitySplit) -> str:
    """Return the script that leads from ``before`` to ``settings``.

    The script is empty where both are equal. None as ``before`` is an unknown state. ``before`` without any setting is
    a node that has just started.
    """
    if settings == before:
        return ""
    parts = [FIND_DEVICE.format(address=settings.address)]
    if before is None:
        parts += [REMOVE_SHAPING, filter_rules.FORCE_REMOVE]
        parts += [loopback.REMOVE] if settings.translation else []
    elif not before.empty:
        parts.append(counters.READ_COUNTERS)
    parts += [
        _translation(settings, before),
        _offload(settings, before),
        _shaping(settings, before),
        _userspace_path(settings, before, split),
        _filter_rules(settings, before),
    ]
    return "".join(parts)


def ending_settings(settings: NodeSettings, before: NodeSettings) -> NodeSettings:
    """Return the settings in ``before`` whose counters end with the change.

    These settings end on the way to ``settings``. The chain is always replaced as a whole; a class that changes goes on
    counting.
    """
    numbers = {link.number for link in settings.outgoing} if _same_tree(settings, before) else set()
    return replace(
        before,
        incoming=before.incoming if before.dropping != settings.dropping else (),
        outgoing=tuple(link for link in before.outgoing if link.number not in numbers),
    )


def _translation(settings: NodeSettings, before: NodeSettings | None) -> str:
    if settings.translation is None or (before is not None and before.translation == settings.translation):
        return ""
    return settings.translation.script(settings.address)


def _offload(settings: NodeSettings, before: NodeSettings | None) -> str:
    if settings.single_packets:
        return "" if before is not None and before.single_packets else DISABLE_OFFLOAD
    return "" if before is not None and not before.single_packets else ENABLE_OFFLOAD


def _shaping(settings: NodeSettings, before: NodeSettings | None) -> str:
    old = before.outgoing if before is not None else ()
    if settings.outgoing == old:
        return ""
    if not settings.outgoing:
        return REMOVE_SHAPING
    remove = ""
    if before is not None and old and not _same_tree(settings, before):
        # htb does not move a class below another one.
        remove, old = REMOVE_SHAPING, ()
    batch = [] if old else [shaping.ADD_ROOT]
    if settings.uplink and (not old or before is None or before.uplink != settings.uplink):
        batch.append(shaping.uplink_line(settings.uplink))
    batch += shaping.lines(settings.outgoing, old)
    return "\n".join([f"{remove}tc -batch - <<END", *batch, "END", ""])


def _same_tree(settings: NodeSettings, before: NodeSettings) -> bool:
    """Return whether the classes keep their parent: the uplink's class, or the root."""
    return bool(settings.uplink) == bool(before.uplink)


def _userspace_path(settings: NodeSettings, before: NodeSettings | None, split: CapabilitySplit) -> str:
    if split.path is None or (before is not None and settings.impaired == before.impaired):
        return ""
    return split.path.script(settings.address, settings.impaired)


def _filter_rules(settings: NodeSettings, before: NodeSettings | None) -> str:
    if before is not None and settings.dropping == before.dropping:
        return ""
    exists = before is not None and bool(before.dropping)
    if not settings.dropping:
        return RESTORE.format(filter_rules.REMOVE) if exists else ""
    return RESTORE.format(filter_rules.transaction(settings.dropping, first=not exists))


def explain(settings: NodeSettings, before: NodeSettings | None, split: CapabilitySplit) -> str:
    """Return one node's script as a user would run it in Docker.

    The text is empty where nothing changes.
    """
    script = render(settings, before, split)
    command = f"docker compose exec -T --privileged --user 0 {settings.node} {' '.join(SHELL)}"
    return f"{command} <<'SCRIPT'\n{script}SCRIPT\n" if script else ""
