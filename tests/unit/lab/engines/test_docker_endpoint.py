"""The engine that the SDK, the command ``docker`` and Compose all use."""

from __future__ import annotations

import contextlib
import grp
import http.server
import json
import os
import pwd
import shutil
import socket
import socketserver
import subprocess
import threading
from typing import TYPE_CHECKING

import pytest

from torrentnet.lab.engines.docker import connection
from torrentnet.lab.engines.docker_endpoint import DEFAULT_HOST, DockerEndpoint, find_endpoint
from torrentnet.lab.errors import EngineError

if TYPE_CHECKING:
    from pathlib import Path

FAR = "tcp://192.0.2.7:2376"


@pytest.fixture(autouse=True)
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's folder ~/.docker, empty."""
    for name in ("DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH"):
        monkeypatch.delenv(name, raising=False)
    folder = tmp_path / "docker config"
    folder.mkdir()
    monkeypatch.setenv("DOCKER_CONFIG", str(folder))
    return folder


@pytest.fixture
def far() -> None:
    """The context ``far``, with a certificate."""
    if shutil.which("docker") is None:
        pytest.skip("needs the command docker")
    create = ["docker", "context", "create", "far", "--docker", f"host={FAR}"]
    subprocess.run(create, check=True, capture_output=True, timeout=60)


def seen_by_docker(endpoint: DockerEndpoint) -> str:
    """The host that ``docker`` uses in the environment of the lab's commands."""
    command = ["docker", "context", "inspect", "--format", "{{.Endpoints.docker.Host}}"]
    return subprocess.run(
        command, env=endpoint.environment(), capture_output=True, text=True, check=True, timeout=60
    ).stdout.strip()


def test_the_machines_own_engine_is_the_default(config: Path) -> None:
    assert find_endpoint() == DockerEndpoint(DEFAULT_HOST)
    (config / "config.json").write_text('{"currentContext": "default"}')
    assert find_endpoint() == DockerEndpoint(DEFAULT_HOST)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"auths": {}}'])
def test_settings_that_cannot_be_read_are_no_context(config: Path, text: str) -> None:
    (config / "config.json").write_text(text)
    assert find_endpoint().host == DEFAULT_HOST


@pytest.mark.usefixtures("far")
def test_a_context_in_the_environment_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_CONTEXT", "far")
    endpoint = find_endpoint()
    assert str(endpoint) == f"{FAR} (the Docker context `far`)"
    assert seen_by_docker(endpoint) == FAR
    assert "DOCKER_CONTEXT" not in endpoint.environment()


@pytest.mark.usefixtures("far")
def test_the_context_in_use_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    subprocess.run(["docker", "context", "use", "far"], check=True, capture_output=True, timeout=60)
    endpoint = find_endpoint()
    assert endpoint.host == FAR
    assert endpoint.remedy == "docker context use default"
    monkeypatch.setenv("DOCKER_CONTEXT", "default")
    assert find_endpoint().host == DEFAULT_HOST


@pytest.mark.usefixtures("far")
def test_docker_host_comes_before_every_context(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_CONTEXT", "far")
    monkeypatch.setenv("DOCKER_HOST", "unix:///run/mine.sock")
    assert str(find_endpoint()) == "unix:///run/mine.sock (DOCKER_HOST)"
    assert seen_by_docker(find_endpoint()) == "unix:///run/mine.sock"


def test_the_certificates_of_a_context_are_passed_on(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if shutil.which("docker") is None or shutil.which("openssl") is None:
        pytest.skip("needs the commands docker and openssl")
    request = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=far", "-days", "2"]
    files = ["-keyout", f"{config}/key.pem", "-out", f"{config}/cert.pem"]
    subprocess.run([*request, *files], check=True, capture_output=True, timeout=60)
    shutil.copy(config / "cert.pem", config / "ca.pem")
    material = ",".join(f"{name}={config / name}.pem" for name in ("ca", "cert", "key"))
    create = ["docker", "context", "create", "far", "--docker", f"host={FAR},{material}"]
    subprocess.run(create, check=True, capture_output=True, timeout=60)
    monkeypatch.setenv("DOCKER_CONTEXT", "far")
    environment = find_endpoint().environment()
    assert environment["DOCKER_TLS_VERIFY"] == "1"
    assert sorted(os.listdir(environment["DOCKER_CERT_PATH"])) == ["ca.pem", "cert.pem", "key.pem"]


def test_a_context_that_does_not_exist_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_CONTEXT", "nope")
    with pytest.raises(EngineError, match="the Docker context `nope` cannot be used") as raised:
        find_endpoint()
    assert raised.value.hint == "unset DOCKER_CONTEXT"


def test_what_a_user_set_for_other_projects_is_not_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    theirs = {
        "COMPOSE_FILE": "other.yaml",
        "COMPOSE_PROJECT_NAME": "other",
        "COMPOSE_PROFILES": "x",
        "DOCKER_BUILDKIT": "0",
        "BUILDX_BUILDER": "far",
        "DOCKER_DEFAULT_PLATFORM": "linux/arm64",
        "DOCKER_CONTENT_TRUST": "1",
        "HTTPS_PROXY": "http://proxy.example:3128",
    }
    for name, value in theirs.items():
        monkeypatch.setenv(name, value)
    environment = find_endpoint().environment()
    assert {name: environment.get(name) for name in theirs} == {
        **dict.fromkeys(theirs),
        "DOCKER_BUILDKIT": "1",
        "BUILDX_BUILDER": "default",
        "HTTPS_PROXY": "http://proxy.example:3128",
    }


def test_an_engine_behind_ssh_is_refused_by_name() -> None:
    endpoint = DockerEndpoint("ssh://me@far.example", "DOCKER_HOST", "unset DOCKER_HOST")
    with pytest.raises(EngineError, match=r"ssh://me@far.example \(DOCKER_HOST\): nodes read their files") as raised:
        connection.connect(endpoint)
    assert raised.value.hint == "use an engine of this machine: unset DOCKER_HOST"


def test_a_tcp_endpoint_where_nobody_listens_is_named() -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        host = f"tcp://127.0.0.1:{bound.getsockname()[1]}"
        with pytest.raises(EngineError, match="no Docker Engine answers at tcp://127") as raised:
            connection.connect(DockerEndpoint(host, "DOCKER_HOST", "unset DOCKER_HOST"))
    assert raised.value.hint.startswith("start that engine, or: unset DOCKER_HOST; `make doctor` shows")


def test_an_address_that_is_none_is_named() -> None:
    with pytest.raises(EngineError, match=r"tcp://localhost:x .* is no address of a Docker Engine: Port") as raised:
        connection.connect(DockerEndpoint("tcp://localhost:x", "DOCKER_HOST", "unset DOCKER_HOST"))
    assert raised.value.hint == "unset DOCKER_HOST"


def test_an_ipv6_address_can_be_probed() -> None:
    if not socket.has_ipv6:
        pytest.skip("no IPv6 here")
    try:
        server = socket.create_server(("::1", 0), family=socket.AF_INET6)
    except OSError:
        pytest.skip("no IPv6 loopback address here")
    with server:
        DockerEndpoint(f"tcp://[::1]:{server.getsockname()[1]}").probe()


@pytest.mark.parametrize("member", [False, True])
def test_a_forbidden_socket_names_its_group(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, member: bool) -> None:
    path = tmp_path / "docker.sock"
    path.touch()
    me = pwd.getpwuid(os.getuid()).pw_name
    group = grp.struct_group(("dockers", "x", os.getgid(), [me] if member else []))
    monkeypatch.setattr(grp, "getgrgid", lambda _: group)
    monkeypatch.setattr(grp, "getgrnam", lambda _: group)
    advice = DockerEndpoint(f"unix://{path}").why_forbidden()
    assert (f"`sudo usermod -aG dockers {me}`, then log out" in advice) != member
    assert ("newgrp dockers" in advice) == member


def test_a_user_outside_the_group_is_told_so(tmp_path: Path) -> None:
    path = tmp_path / "docker.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        path.chmod(0 if os.geteuid() else 0o600)
        for folder in (tmp_path, tmp_path.parent, tmp_path.parent.parent):
            folder.chmod(0o755)
        try:
            if os.geteuid() == 0:
                os.seteuid(65534)
            with pytest.raises(EngineError, match="you may not use the Docker Engine at unix://") as raised:
                connection.connect(DockerEndpoint(f"unix://{path}"))
        finally:
            os.seteuid(os.getuid())
    assert "which belongs to the group `" in raised.value.message
    assert "sudo usermod -aG" in raised.value.hint


def test_the_settings_file_names_the_context(config: Path) -> None:
    (config / "config.json").write_text(json.dumps({"currentContext": "gone"}))
    with pytest.raises(EngineError, match="the Docker context `gone`"):
        find_endpoint()


class Proxy(http.server.BaseHTTPRequestHandler):
    """A proxy before a socket that allows reading alone."""

    def do_GET(self) -> None:
        self._answer(200, b'{"ApiVersion": "1.45", "Version": "26.1"}')

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", "0")))
        self._answer(403, b'{"message": "forbidden by administrative rules"}')

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def address_string(self) -> str:
        return ""

    def log_message(self, *_: object) -> None: ...


def test_a_proxy_that_forbids_something_is_named(tmp_path: Path) -> None:
    path = tmp_path / "docker.sock"
    with socketserver.UnixStreamServer(str(path), Proxy) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            endpoint = DockerEndpoint(f"unix://{path}")
            with (
                contextlib.closing(connection.connect(endpoint)) as client,
                pytest.raises(EngineError) as raised,
                connection.translate_errors("looking for the files"),
            ):
                connection.require_shared_files(client, endpoint, tmp_path)
        finally:
            server.shutdown()
            thread.join()
    assert raised.value.message == "looking for the files: forbidden by administrative rules"
    assert raised.value.hint == (
        "a proxy before the engine's socket forbids this; the lab needs containers, exec, images, build, networks,"
        " volumes, events and info, with POST and DELETE"
    )
