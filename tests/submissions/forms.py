"""Other forms of the right program: folders, command lines and archives."""

from __future__ import annotations

import io
import os
import tarfile
import zipfile
from typing import TYPE_CHECKING, Final

from tests.submissions.build import Edit, Submission

if TYPE_CHECKING:
    from pathlib import Path

_MANIFEST: Final = """\
install: requirements.txt
files: tmp
tracker: python3 src/server.py --on {ip}:{port}
share: python3 src/node.py -n {name} share {file} {tracker} {listen}
get: python3 src/node.py -n {name} get {file} {tracker} {listen}
says: {request logs: all logs, file_logs -all: file -all}
"""
_OWN_WORDS: Final = (
    Edit("tracker.py", 'if line == "request logs":', 'if line == "all logs":'),
    Edit("tracker.py", 'line == "file_logs -all"', 'line == "file -all"'),
    Edit("tracker.py", "commands: request logs, file_logs -all", "commands: all logs, file -all"),
    Edit("tracker.py", "if len(sys.argv) != 2:\n", 'if len(sys.argv) != 3 or sys.argv[1] != "--on":\n'),
    Edit("tracker.py", "usage: tracker.py <IP:PORT>", "usage: server.py --on <IP:PORT>"),
    Edit("tracker.py", "usage: python3 tracker.py <IP:PORT>", "usage: python3 server.py --on <IP:PORT>"),
    Edit("tracker.py", "parse_address(sys.argv[1])", "parse_address(sys.argv[2])"),
    Edit("tracker.py", "cannot listen at {sys.argv[1]}", "cannot listen at {sys.argv[2]}"),
    Edit("tracker.py", "tracker at {sys.argv[1]}", "tracker at {sys.argv[2]}"),
    Edit(
        "peer.py",
        'if len(sys.argv) != 5 or sys.argv[1] not in ("share", "get"):',
        'if len(sys.argv) != 7 or sys.argv[1] != "-n" or sys.argv[3] not in ("share", "get"):',
    ),
    Edit("peer.py", "usage: python3 peer.py share", "usage: python3 node.py -n <NAME> share"),
    Edit("peer.py", "usage: peer.py share", "usage: node.py -n <NAME> share"),
    Edit(
        "peer.py",
        "    action, name, tracker, listen = sys.argv[1:]\n",
        "    action, name, tracker, listen = sys.argv[3:]\n"
        '    os.makedirs("tmp", exist_ok=True)\n'
        '    os.chdir("tmp")\n',
    ),
    Edit("peer.py", 'if line.strip() == "request logs":', 'if line.strip() == "all logs":'),
    Edit("peer.py", "commands: request logs", "commands: all logs"),
)
_WINDOWS: Final = {
    "__MACOSX/._peer.py": "not a program",
    "Projekt/.vscode/settings.json": "{}",
    "Projekt/Doku/readme.txt": "Start with python3 Tracker.py\n",
}

FORMS: Final[dict[str, Submission]] = {
    "nested_in_odd_case": Submission(
        "below Projekt/SRC, beside what editors and archivers leave",
        renamed={
            "tracker.py": "Projekt/SRC/Tracker.py",
            "peer.py": "Projekt/SRC/Peer.py",
            "common.py": "Projekt/SRC/common.py",
        },
        files=_WINDOWS,
    ),
    "own_command_lines": Submission(
        "other names, options, a folder for files, and other words at the consoles: `torrentnet.yaml` has them",
        _OWN_WORDS,
        renamed={"tracker.py": "src/server.py", "peer.py": "src/node.py", "common.py": "src/common.py"},
        files={"torrentnet.yaml": _MANIFEST, "requirements.txt": "# the standard library is enough\n"},
    ),
    "ambiguous": Submission(
        "two folders have a tracker and a peer: refused with the names of both",
        renamed={"tracker.py": "v1/tracker.py", "peer.py": "v1/peer.py", "common.py": "v1/common.py"},
        files={"v2/tracker.py": "print('old')\n", "v2/peer.py": "print('old')\n"},
    ),
    "no_tracker": Submission(
        "has a peer only: refused with what was found",
        renamed={"tracker.py": "server.txt"},
    ),
}
"""The first two get all marks (the words of the second may cost some); the others are refused."""


def zip_of(submission: Submission, path: Path) -> Path:
    """Write the submission as a zip archive."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in submission.texts().items():
            archive.writestr(name, text)
    return path


def tar_of(submission: Submission, path: Path) -> Path:
    """Write the submission as a compressed tar archive."""
    with tarfile.open(path, "w:gz") as archive:
        for name, text in submission.texts().items():
            _add(archive, tarfile.TarInfo(name), text.encode())
    return path


def _add(archive: tarfile.TarFile, member: tarfile.TarInfo, data: bytes = b"") -> None:
    member.size = len(data)
    archive.addfile(member, io.BytesIO(data))


_LINKS: Final = {
    # kind: type of the member, its name, where it leads
    "symbolic_link": (tarfile.SYMTYPE, "secret.py", "/etc/passwd"),
    "link_to_a_folder": (tarfile.SYMTYPE, "data", "/"),
    "hard_link": (tarfile.LNKTYPE, "secret.py", "/etc/passwd"),
    "device": (tarfile.CHRTYPE, "zero", ""),
    "fifo": (tarfile.FIFOTYPE, "pipe", ""),
}
_OUTSIDE: Final = {"dotdot": "../escaped.py", "absolute": "/tmp/escaped.py", "deep_dotdot": "src/../../escaped.py"}
HOSTILE_TARS: Final = (*_LINKS, *_OUTSIDE, "bomb")  # and "many_members", whose refusal takes seconds
HOSTILE_ZIPS: Final = (*_OUTSIDE, "zip_symbolic_link", "bomb", "many_members", "overlapping_size")
_BOMB: Final = 256 << 20


def hostile_tar(kind: str, submission: Submission, path: Path) -> Path:
    """Write a tar archive that has the submission and one attack on who unpacks it."""
    with tarfile.open(path, "w:gz", compresslevel=1) as archive:
        for name, text in submission.texts().items():
            _add(archive, tarfile.TarInfo(name), text.encode())
        if kind in _LINKS:
            member = tarfile.TarInfo(_LINKS[kind][1])
            member.type, member.linkname = _LINKS[kind][0], _LINKS[kind][2]
            member.devmajor, member.devminor = 1, 5
            archive.addfile(member)
            if kind == "link_to_a_folder":
                _add(archive, tarfile.TarInfo("data/tmp/escaped.py"), b"print('escaped')\n")
        elif kind in _OUTSIDE:
            _add(archive, tarfile.TarInfo(_OUTSIDE[kind]), b"print('escaped')\n")
        elif kind == "bomb":
            member = tarfile.TarInfo("zeros.bin")
            member.size = _BOMB
            with open("/dev/zero", "rb") as zeros:
                archive.addfile(member, zeros)
        elif kind == "many_members":
            for number in range(6_000):
                archive.addfile(tarfile.TarInfo(f"many/{number}"))
        else:
            raise ValueError(f"unknown attack {kind}")
    return path


def hostile_zip(kind: str, submission: Submission, path: Path) -> Path:
    """Write a zip archive that has the submission and one attack on who unpacks it."""
    zip_of(submission, path)
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        if kind in _OUTSIDE:
            archive.writestr(_OUTSIDE[kind], "print('escaped')\n")
        elif kind == "zip_symbolic_link":
            link = zipfile.ZipInfo("secret.py")
            link.create_system = 3  # Unix: the upper half of the attributes is the mode
            link.external_attr = 0o120777 << 16
            archive.writestr(link, "/etc/passwd")
        elif kind == "bomb":
            with archive.open("zeros.bin", "w", force_zip64=True) as member:
                for _ in range(_BOMB >> 20):
                    member.write(bytes(1 << 20))
        elif kind == "many_members":
            for number in range(6_000):
                archive.writestr(f"many/{number}", "")
        elif kind == "overlapping_size":
            archive.writestr("zeros.bin", bytes(100 << 20))
        else:
            raise ValueError(f"unknown attack {kind}")
    if kind == "overlapping_size":
        _understate(path, 100 << 20, 14)
    return path


def _understate(path: Path, size: int, stated: int) -> None:
    """Make a zip archive's headers say that a member is smaller than it is."""
    data = path.read_bytes()
    old, new = size.to_bytes(4, "little"), stated.to_bytes(4, "little")
    assert data.count(old) == 2
    temporary = path.with_suffix(".new")
    temporary.write_bytes(data.replace(old, new))
    os.replace(temporary, path)
