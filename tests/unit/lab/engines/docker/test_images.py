"""The image's tag changes with what goes into it, and with nothing else."""

from __future__ import annotations

import ast
import re
import time
from pathlib import Path

import pytest

from torrentnet.lab.engines.docker import images
from torrentnet.lab.engines.docker.engine import CONSOLE_COMMANDS
from torrentnet.lab.engines.docker.images import (
    REPOSITORIES,
    SOURCES,
    built_now,
    prune,
    source_hash,
    sources,
    tag_of,
)
from torrentnet.lab.engines.owner import boot_id, machine_id

UPTIME = 100_000.0
ROOT = Path(__file__).resolve().parents[5]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name in (
        "torrentnet/wire/udp",
        "torrentnet/lab/cli",
        "torrentnet/lab/engines",
        "torrentnet/_files",
        "docker",
        "scripts",
    ):
        (tmp_path / name).mkdir(parents=True)
    for name in (
        "Dockerfile",
        "tracker.py",
        "torrentnet/wire/udp/packets.py",
        "torrentnet/lab/cli/app.py",
        "docker/launch",
    ):
        (tmp_path / name).write_text(name, encoding="utf-8")
    return tmp_path


def hash_of(tree: Path) -> str:
    return source_hash(tree, tree / "torrentnet")


@pytest.mark.parametrize(
    "name", ["Dockerfile", "tracker.py", "torrentnet/wire/udp/packets.py", "torrentnet/wire/new.py", "peer.py"]
)
def test_a_changed_file_changes_the_hash(tree: Path, name: str) -> None:
    before = hash_of(tree)
    (tree / name).write_text("other", encoding="utf-8")
    assert hash_of(tree) != before


def test_the_executable_bit_changes_the_hash(tree: Path) -> None:
    before = hash_of(tree)
    (tree / "docker/launch").chmod(0o755)
    assert hash_of(tree) != before


@pytest.mark.parametrize(
    "name",
    [
        "torrentnet/lab/cli/app.py",
        "torrentnet/lab/engines/x.py",
        "torrentnet/_files/x",
        "README.md",
        "torrentnet/x.pyc",
    ],
)
def test_files_outside_the_image_do_not_change_the_hash(tree: Path, name: str) -> None:
    before = hash_of(tree)
    (tree / name).write_text("other", encoding="utf-8")
    assert hash_of(tree) == before


def test_everything_the_dockerfile_copies_is_a_source() -> None:
    copied = re.findall(
        r"^COPY (?!--from)(?:--\S+ )*(.+)$", (ROOT / "Dockerfile").read_text(encoding="utf-8"), re.MULTILINE
    )
    names = [name for line in copied for name in line.split()[:-1]]
    assert names
    found = [name for name, _ in sources(ROOT)]
    assert all(name == "torrentnet" or name.split("/")[0] in SOURCES for name in names)
    assert "torrentnet/wire/bencode.py" in found and "docker/launch" in found
    assert not [name for name in found if name.startswith(("torrentnet/lab/", "torrentnet/_files/"))]


def test_each_target_has_a_repository_of_its_own() -> None:
    targets = set(re.findall(r"^FROM \S+ AS (\S+)$", (ROOT / "Dockerfile").read_text(encoding="utf-8"), re.MULTILINE))
    assert set(REPOSITORIES) <= targets
    tags = {tag_of(ROOT, target) for target in REPOSITORIES}
    assert tags == {f"torrentnet{kind}:{source_hash(ROOT)}" for kind in ("", "-clients", "-runtime")}


class FakeImages:
    """An engine with images of these names, each so many seconds old."""

    def __init__(self, **ages: float) -> None:
        now, here = time.time(), built_now().rpartition(" ")[0]
        self.listed: list[dict[str, object]] = [
            {
                "RepoTags": [f"torrentnet:{tag}"],
                "Created": int(now - age),
                "Labels": {"org.torrentnet.built": f"{here} {UPTIME - age:.0f}"},
            }
            for tag, age in ages.items()
        ]
        self.listed.append({"RepoTags": None, "Created": 0})
        self.removed: list[str] = []
        self.api = self
        # As the SDK's client: `client.api.images(...)` lists, `client.images.remove(...)` removes.
        self.images = _Images(self)


class _Images:
    def __init__(self, owner: FakeImages) -> None:
        self._owner = owner

    def __call__(self, name: str, filters: dict[str, str]) -> list[dict[str, object]]:
        assert (name, filters) == ("torrentnet", {"label": "org.torrentnet.image"})
        return self._owner.listed

    def remove(self, tag: str) -> None:
        self._owner.removed.append(tag)


def test_only_old_images_that_no_lab_may_need_are_pruned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "uptime", lambda: UPTIME)
    ages = {"a" * 12: 10.0, "b" * 12: 20.0, "c" * 12: 30.0, "d" * 12: 40.0, "e" * 12: 5_000.0, "f" * 12: 9_000.0}
    client = FakeImages(**ages)
    prune(client, keep=f"torrentnet:{'f' * 12}")  # type: ignore[arg-type]  # what there is of the SDK's client
    assert client.removed == [f"torrentnet:{'e' * 12}"]


def test_an_image_is_as_old_as_its_boot_says_whatever_the_time_of_day(monkeypatch: pytest.MonkeyPatch) -> None:
    ages = {tag * 12: age for tag, age in zip("abcde", (10.0, 20.0, 30.0, 40.0, 50.0), strict=True)}
    client = FakeImages(**ages)
    for image in client.listed:
        image["Created"] = int(time.time()) - 10**6
    monkeypatch.setattr(images, "uptime", lambda: UPTIME + 500.0)
    prune(client, keep=f"torrentnet:{'a' * 12}")  # type: ignore[arg-type]
    assert not client.removed


@pytest.mark.parametrize(
    ("built", "age"),
    [
        (f"{machine_id()} {boot_id()} 400", 600.0),
        (f"{machine_id()} another-boot 999999", 1000.0),
        ("another-machine another-boot 400", 0.0),
        ("", 1000.0),
    ],
)
def test_what_is_not_known_of_an_images_age(built: str, age: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "uptime", lambda: 1000.0)
    assert images.least_age(built) == age


def test_every_command_of_a_console_is_one_of_the_image() -> None:
    linked = {
        word
        for line in re.findall(r"for name in ([^;]+);", (ROOT / "Dockerfile").read_text(encoding="utf-8"))
        for word in line.split()
    }
    said = {"help"}
    for program in ("tracker", "peer"):
        tree = ast.parse((ROOT / "torrentnet" / program / "commands.py").read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Command":
                said.add(ast.literal_eval(node.args[0])[0])
    assert {"request", "file_logs", "peers", "status"} <= said
    assert said <= linked
    assert said <= CONSOLE_COMMANDS <= linked
