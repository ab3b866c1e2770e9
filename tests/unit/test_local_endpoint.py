"""Finding the local Braket, also by what a killed one left behind."""

from __future__ import annotations

import json
import os
import shutil
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from covalent_braket_plugin import local_endpoint
from covalent_braket_plugin.errors import UnreachableError
from tests.support.braket_server import BraketServer

PID = 4711


def http(body: bytes) -> bytes:
    return b"HTTP/1.0 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)


@contextmanager
def listener(answer: bytes) -> Iterator[str]:
    """Somebody who gives every caller the same bytes."""

    def serve() -> None:
        while True:
            try:
                caller, _ = listening.accept()
            except OSError:
                return
            with caller:
                caller.recv(4096)
                caller.sendall(answer)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            thread.join()


def remembered(directory: Path, url: str) -> None:
    (directory / "endpoint.json").write_text(json.dumps({"endpoint_url": url, "pid": PID}))


def test_one_that_answers_as_itself_is_found(tmp_path: Path) -> None:
    with listener(http(b'{"status": "ok", "pid": 4711}')) as url:
        remembered(tmp_path, url)
        found = local_endpoint.find(tmp_path)
    assert found == {"endpoint_url": url, "pid": PID}


@pytest.mark.parametrize(
    "answer",
    [
        b"SSH-2.0-OpenSSH_9.6\r\n\r\n",
        b"",
        http(b"[1]"),
        http(b"null"),
        http(b"<html>"),
        http(b"\xff\xfe"),
        http(b"{}"),
        http(b'{"pid": 1}'),
        b"HTTP/1.0 200 OK\r\nContent-Length: 99\r\n\r\n{",
        b"HTTP/1.0 404 Not Found\r\n\r\n",
    ],
)
def test_somebody_else_at_the_port_of_a_killed_one_is_not_taken_for_it(
    tmp_path: Path, answer: bytes
) -> None:
    with listener(answer) as url:
        remembered(tmp_path, url)
        assert local_endpoint.find(tmp_path) is None


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[1]",
        b"7",
        b"\xff\xfe\x00",
        b"{}",
        b'{"endpoint_url": 5, "pid": 1}',
        b'{"endpoint_url": "ftp://127.0.0.1", "pid": 1}',
        b'{"endpoint_url": "http://127.0.0.1:x", "pid": 1}',
        b'{"endpoint_url": "http://127.0.0.1:1", "pid": 1}',
    ],
)
def test_a_state_file_that_says_nothing_means_none_runs(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "endpoint.json").write_bytes(content)
    assert local_endpoint.find(tmp_path) is None


def test_without_a_state_file_none_runs(tmp_path: Path) -> None:
    assert local_endpoint.find(tmp_path) is None
    (tmp_path / "file").write_text("")
    assert local_endpoint.find(tmp_path / "file") is None


def test_one_that_was_found_is_trusted_for_a_moment_unless_it_is_forgotten(
    tmp_path: Path, local_braket: BraketServer
) -> None:
    running = local_braket.state_dir / "endpoint.json"
    with listener(http(b'{"status": "ok", "pid": 4711}')) as url:
        remembered(tmp_path, url)
        assert local_endpoint.find_or_start(tmp_path)["pid"] == PID
    # It is dead now, and another one runs.
    shutil.copy(running, tmp_path / "endpoint.json")
    assert local_endpoint.find_or_start(tmp_path)["pid"] == PID
    local_endpoint.forget(tmp_path)
    assert local_endpoint.find_or_start(tmp_path) == local_endpoint.find(local_braket.state_dir)


def test_forgetting_what_nobody_knows_is_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(local_endpoint.STATE_DIR_VARIABLE, os.fspath(tmp_path))
    local_endpoint.forget()


def test_one_that_is_too_busy_to_answer_is_not_taken_for_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local_endpoint, "HEALTH_TIMEOUT_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        remembered(tmp_path, f"http://127.0.0.1:{silent.getsockname()[1]}")
        with pytest.raises(UnreachableError) as raised:
            local_endpoint.find_again(tmp_path)
    assert raised.value.transient
    assert local_endpoint.find_again(tmp_path) is None  # now the connection is refused
