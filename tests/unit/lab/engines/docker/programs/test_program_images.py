"""What makes an image of a program that a scenario brings along."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torrentnet.lab.engines.docker.programs.program_images import dockerfile, make_readable

if TYPE_CHECKING:
    from pathlib import Path


def test_an_image_of_others_gets_our_runtime_and_forgets_its_own_start() -> None:
    assert dockerfile("example/client:2", "torrentnet-runtime:0123", has_folder=True).splitlines() == [
        "FROM example/client:2",
        "USER 0:0",
        "COPY --from=torrentnet-runtime:0123 /torrentnet /torrentnet",
        "COPY --chown=0:0 program /program",
        "ENTRYPOINT []",
        'CMD ["observe", "--help"]',
        "HEALTHCHECK NONE",
        "STOPSIGNAL SIGTERM",
    ]


def test_a_folder_alone_is_added_to_the_image_of_our_nodes() -> None:
    text = dockerfile("torrentnet:0123", "", has_folder=True)
    assert "FROM torrentnet:0123" in text
    assert "/torrentnet" not in text


def test_what_is_copied_can_be_read_by_every_user_and_has_no_special_right(tmp_path: Path) -> None:
    folder = tmp_path / "program"
    (folder / "sub").mkdir(parents=True)
    for name, mode in (("secret.py", 0o600), ("sub/tool", 0o4700), ("sub/plain", 0o2640)):
        (folder / name).write_text("", encoding="utf-8")
        (folder / name).chmod(mode)
    (folder / "sub").chmod(0o700)
    (folder / "link").symlink_to("/etc/passwd")
    make_readable(folder)
    modes = {path.name: path.stat().st_mode & 0o7777 for path in folder.rglob("*") if not path.is_symlink()}
    assert modes == {"secret.py": 0o644, "sub": 0o755, "tool": 0o755, "plain": 0o644}
    assert (folder / "link").is_symlink()
