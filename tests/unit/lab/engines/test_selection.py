"""Which engine is chosen, and why."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from tests.unit.lab.fakes import FakeEngine
from torrentnet.lab.engines import selection
from torrentnet.lab.engines.selection import choose_engine, collect_orphans, require_engine
from torrentnet.lab.errors import EngineError, UsageError


def test_the_choice_names_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nonexistent/docker.sock")
    monkeypatch.delenv("TORRENTNET_ENGINE", raising=False)
    reason = str(choose_engine("auto"))
    assert reason.startswith("engine: local (")
    assert "docker" in reason.lower()
    assert str(choose_engine("docker")) == "engine: docker (`--engine docker`)"
    monkeypatch.setenv("TORRENTNET_ENGINE", "docker")
    assert str(choose_engine("auto")) == "engine: docker (TORRENTNET_ENGINE=docker)"
    assert str(choose_engine("local")) == "engine: local (`--engine local`)"
    monkeypatch.setenv("TORRENTNET_ENGINE", "podman")
    with pytest.raises(UsageError, match="there is no engine `podman`"):
        choose_engine("auto")


def test_an_engine_that_does_not_work_here_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        raise EngineError("not here")

    engine, closed = FakeEngine(), []
    monkeypatch.setattr(engine, "check", refuse)
    monkeypatch.setattr(engine, "close", lambda: closed.append(True))
    with pytest.raises(EngineError, match="not here"):
        require_engine(engine)
    assert closed


def test_orphans_of_the_local_engine_are_collected_too(monkeypatch: pytest.MonkeyPatch) -> None:
    with tempfile.TemporaryDirectory(prefix="ts-") as base:
        monkeypatch.setenv("TORRENTNET_RUNTIME", base)
        orphan = Path(base, "abcdef")
        orphan.mkdir()
        assert collect_orphans(FakeEngine(), lambda _home, _project: False) == []
        assert not orphan.exists()


def test_the_local_engine_is_not_made_where_it_has_no_lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORRENTNET_RUNTIME", str(tmp_path / "none"))
    monkeypatch.setattr(selection, "_make", lambda name: pytest.fail(f"{name} is made"))
    assert collect_orphans(FakeEngine(), lambda _home, _project: False) == []
    assert not (tmp_path / "none").exists()
