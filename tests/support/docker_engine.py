"""A container engine for tests: the machine's own, or one that is started for them.

Set ``COVALENT_BRAKET_TEST_DOCKER=require`` to have tests fail where they would be skipped.
"""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import NoReturn

import docker
import pytest

SWITCH = "COVALENT_BRAKET_TEST_DOCKER"
REQUIRED = os.environ.get(SWITCH) == "require"
READY_SECONDS = 30.0

# Debian's releases by the Python that they have: pickles of functions need the same one.
DEBIAN = {(3, 11): "bookworm", (3, 13): "trixie"}
PACKAGES = "base-files,base-passwd,coreutils,dash,libc-bin,python3,python3-venv,sed"
MERGED_USR = "/usr/share/mmdebstrap/hooks/merged-usr"
IMPORTED = "cbp-test-debian"
BASE = "cbp-test-base:1"
DOCKERFILE = f"""
FROM {IMPORTED}
COPY wheels /wheels
RUN cp /usr/share/base-passwd/passwd.master /etc/passwd
ENV PIP_NO_INDEX=1 PIP_FIND_LINKS=/wheels
"""
ADDITIONS = ("boto3", "cloudpickle", "wheel")
OTHER_CLOUDPICKLE = {"2": "3.1.1", "3": "2.2.1"}

# Never the defaults: those leave a bridge and firewall rules behind.
HARMLESS = ("--iptables=false", "--ip6tables=false", "--bridge=none")


@dataclass(frozen=True)
class DockerEngine:
    """A running engine.

    Attributes:
        url: For ``DOCKER_HOST``.
        client: A client of it.
        own: Whether it was started for the tests, with the options that they want.
    """

    url: str
    client: docker.DockerClient
    own: bool


def missing(reason: str) -> NoReturn:
    """Skip, loudly, what cannot be tested here; fail where it must be."""
    text = f"CONTAINER TESTS NOT RUN: {reason}"
    if REQUIRED:
        pytest.fail(f"{text} ({SWITCH}=require)")
    pytest.skip(f"{text} ({SWITCH}=require makes this a failure)")


@contextlib.contextmanager
def running_engine(registry: str, proxy: str) -> Iterator[DockerEngine]:
    """Find an engine, or start one.

    Args:
        registry: Name of a registry that an own engine may talk to without TLS.
        proxy: URL of the proxy through which an own engine talks to registries.
    """
    named = os.environ.get("DOCKER_HOST") or "unix:///var/run/docker.sock"
    with contextlib.suppress(docker.errors.DockerException):
        found = docker.DockerClient(base_url=named)
        found.ping()
        yield DockerEngine(named, found, own=False)
        return
    if os.geteuid() != 0 or shutil.which("dockerd") is None:
        missing(f"no engine answers at {named}, and starting one takes root and dockerd")
    folder = Path(tempfile.mkdtemp(prefix="cbp-docker-"))
    try:
        with _started(folder, registry, proxy) as engine:
            yield engine
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _started(folder: Path, registry: str, proxy: str) -> Iterator[DockerEngine]:
    url = f"unix://{folder}/socket"
    places = {"data-root": "data", "exec-root": "exec", "pidfile": "pid"}
    command = ["dockerd", "-H", url, *HARMLESS, f"--insecure-registry={registry}"]
    command += [f"--{option}={folder / name}" for option, name in places.items()]
    environment = {**os.environ, "HTTP_PROXY": proxy, "HTTPS_PROXY": proxy, "NO_PROXY": ""}
    log = folder / "log"
    with log.open("wb") as sink:
        process = subprocess.Popen(command, stdout=sink, stderr=sink, env=environment)
    try:
        yield DockerEngine(url, _answering(url, process, log), own=True)
    finally:
        process.terminate()
        process.wait(30)
        # Host networking leaves a mount behind, which keeps the directory from being removed.
        subprocess.run(["umount", folder / "exec/netns/default"], capture_output=True, check=False)


def _answering(url: str, process: subprocess.Popen[bytes], log: Path) -> docker.DockerClient:
    deadline = time.monotonic() + READY_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(docker.errors.DockerException):
            client = docker.DockerClient(base_url=url)
            client.ping()
            return client
        time.sleep(0.05)
    missing(f"dockerd does not start: {log.read_text(errors='replace')[-1500:]}")


def make_base(engine: DockerEngine, folder: Path) -> str:
    """Make a base image out of Debian, with a Python like ours and the wheels that tests install.

    Returns:
        Its name.
    """
    suite = DEBIAN.get(sys.version_info[:2])
    if suite is None or shutil.which("mmdebstrap") is None:
        wanted = "mmdebstrap" if suite else f"a Debian with Python {sys.version_info[:2]}"
        missing(f"there is no {wanted} to make a base image from")
    wheels, root = folder / "wheels", folder / "base.tar"
    _run("wheels", *_pip_download(wheels, *ADDITIONS))
    own = version("cloudpickle").partition(".")[0]
    other = f"cloudpickle=={OTHER_CLOUDPICKLE[own]}"
    _run("wheels", *_pip_download(wheels, "--no-deps", other))
    # Unpacked, not configured: Python runs all the same, in half the time.
    _run(
        "Debian",
        *("mmdebstrap", "--variant=extract", f"--include={PACKAGES}"),
        *("--aptopt=APT::Install-Recommends false", f"--hook-dir={MERGED_USR}"),
        *(suite, str(root)),
    )
    with root.open("rb") as data:
        engine.client.api.import_image_from_data(data, repository=IMPORTED)
    root.unlink()
    (folder / "Dockerfile").write_text(DOCKERFILE)
    engine.client.images.build(path=str(folder), tag=BASE, rm=True)
    return BASE


def build_on(engine: DockerEngine, base: str, lines: str, tag: str) -> str:
    """Build a small image on another."""
    dockerfile = io.BytesIO(f"FROM {base}\n{lines}\n".encode())
    engine.client.images.build(fileobj=dockerfile, tag=tag, rm=True)
    return tag


def _pip_download(folder: Path, *wanted: str) -> list[str]:
    pinned = [f"{name}=={version(name)}" if name in ADDITIONS[:2] else name for name in wanted]
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--only-binary=:all:"]
    return [*pip, "--dest", str(folder), *pinned]


def _run(what: str, *command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=170)
    if done.returncode:
        missing(f"no {what} for a base image: {done.stderr.strip()[-1500:]}")
