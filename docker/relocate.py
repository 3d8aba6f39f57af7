"""Copy Python, our package and the network's tools to a directory that works in any image of this processor.

``python3 relocate.py /torrentnet`` runs while the image is built. The programs there use the loader and the libraries
of that directory alone, whatever the image around them has: another C library, none at all, or a preload file.
"""

from __future__ import annotations

import os
import re
import shutil
import struct
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Final

TOOLS: Final = ("sh", "cat", "ip", "tc", "ethtool", "iptables", "iptables-restore", "iptables-save")
"""What the scripts that set a node's network run."""
COMMANDS: Final = {
    "observe": "torrentnet.adapters.observer",
    "console": "torrentnet.console",
    "request": "torrentnet.console",
    "file_logs": "torrentnet.console",
    "peers": "torrentnet.console",
    "status": "torrentnet.console",
    "help": "torrentnet.console",
}
"""Command to the package that it runs; the console's commands know themselves by their name."""
LEFT_OUT: Final = shutil.ignore_patterns(
    *("test", "tests", "idlelib", "lib2to3", "turtledemo", "ensurepip", "pydoc_data", "tkinter", "config-*"),
    *("site-packages", "dist-packages", "_tkinter*", "_test*", "_xxtest*", "*.a"),
)
INTERPRETER_HEADER: Final = 3
SYSTEM_FOLDERS: Final = re.compile(rb"/lib/[a-z0-9_]+-linux-gnu/\0/usr/lib/[a-z0-9_]+-linux-gnu/\0/lib/\0/usr/lib/\0")
NOWHERE: Final = b"/sys/"
"""The kernel's, and without libraries."""


def main(target: Path) -> None:
    """Fill the directory."""
    for name in ("bin", "sbin", "lib"):
        (target / name).mkdir(parents=True)
    python = Path(sys.executable).resolve()
    version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    modules = target / "lib" / version
    shutil.copytree(sysconfig.get_path("stdlib"), modules, ignore=LEFT_OUT, symlinks=False)
    shutil.copytree("/opt/torrentnet/torrentnet", modules / "torrentnet")
    loader = copy_program(python, target / "sbin" / "python3", target)
    for tool in TOOLS:
        path = Path(shutil.which(tool) or tool)
        copy_program(path.resolve(), target / "sbin" / tool, target)
    plugins = next(Path("/usr/lib").glob("*/xtables"))
    shutil.copytree(plugins, target / "lib" / "xtables")
    if Path("/usr/lib/tc").is_dir():
        shutil.copytree("/usr/lib/tc", target / "lib" / "tc")
    for file in (*modules.rglob("*.so"), *(target / "lib" / "xtables").glob("*.so")):
        copy_libraries(file, target)
    write_loader(loader, target / "ld.so", f"{target}/lib/".encode())
    for name, package in COMMANDS.items():
        words = "" if package.endswith("observer") else f"sys.argv.insert(1, {name!r}); "
        text = f"#!{target}/sbin/python3 -ISB\nimport runpy, sys\n{words}runpy.run_module({package!r}, "
        text += "run_name='__main__')\n"
        (target / "bin" / name).write_text(text, encoding="utf-8")
        (target / "bin" / name).chmod(0o755)


def copy_program(source: Path, copy: Path, target: Path) -> Path:
    """Copy an executable and its libraries; return its loader."""
    content = bytearray(source.read_bytes())
    if content[:6] != b"\x7fELF\x02\x01":
        raise SystemExit(f"{source} is no 64-bit little-endian program")
    (headers,) = struct.unpack_from("<Q", content, 32)
    size, count = struct.unpack_from("<HH", content, 54)
    for at in range(headers, headers + size * count, size):
        kind, _, offset, _, _, length, *_ = struct.unpack_from("<IIQQQQQQ", content, at)
        if kind == INTERPRETER_HEADER:
            break
    else:
        raise SystemExit(f"{source} is not linked dynamically")
    loader = bytes(content[offset : offset + length]).rstrip(b"\0").decode()
    content[offset : offset + length] = f"{target}/ld.so".encode().ljust(length, b"\0")
    copy.write_bytes(content)
    copy.chmod(0o755)
    copy_libraries(source, target)
    return Path(loader)


def copy_libraries(source: Path, target: Path) -> None:
    """Copy the shared libraries that a file needs."""
    done = subprocess.run(["ldd", str(source)], capture_output=True, text=True, check=False)
    for name, path in re.findall(r"^\s*(\S+) => (/\S+)", done.stdout, re.MULTILINE):
        copy = target / "lib" / os.path.basename(name)
        if not copy.exists():
            shutil.copyfile(Path(path).resolve(), copy)


def write_loader(source: Path, copy: Path, folder: bytes) -> None:
    """Write the loader, changed to look for libraries in one folder alone, and for no file in /etc.

    Each text is replaced by one of the same length.
    """
    content = source.resolve().read_bytes()
    found = SYSTEM_FOLDERS.search(content)
    if found is None:
        raise SystemExit(f"{source} has no list of folders where it was expected")
    ours = [text.replace(b"/", b"/") for text in found[0].split(b"\0")]
    first, *others = ours[:-1]
    folders = [folder.ljust(len(first), b"/"), *(NOWHERE.ljust(len(text), b"/") for text in others)]
    content = content.replace(found[0], b"\0".join([*folders, b""]))
    for text in (b"/etc/ld.so.preload", b"/etc/ld.so.cache"):
        if text not in content:
            raise SystemExit(f"{source} does not name {text.decode()}")
        content = content.replace(text, NOWHERE.ljust(len(text), b"/"))
    copy.write_bytes(content)
    copy.chmod(0o755)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
