"""The program of script-mode jobs: what AWS's own job images do around a user's script.

Fetches and unpacks the source, installs its requirements, and runs the entry point in a child
process with the unpacked source as its working directory. How that ends is reported as there:
an exception goes to ``output/failure`` as ``Type: message``, everything else that fails as
``ExecuteUserScriptError``, always with exit code 1. The behaviour is that of the published
container program (amazon-braket-containers) under sagemaker-training.
"""

from __future__ import annotations

import contextlib
import importlib
import inspect
import json
import multiprocessing
import os
import runpy
import shutil
import signal
import sys
import tarfile
import time
import traceback
import typing
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from http.client import HTTPException, IncompleteRead
from importlib.metadata import version
from pathlib import Path
from typing import Any

from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import EnvProvider

from covalent_braket_plugin.local.jobs.requirements import install_requirements
from covalent_braket_plugin.local.jobs.s3_uri import bucket_and_key

__all__ = ["main"]

ARCHIVES = ("gzip", "zip")
BASE_VARIABLE = "SAGEMAKER_BASE_DIR"
PAUSES_SECONDS = (0.1, 0.4, 1.6)
TIMEOUT_SECONDS = 60
"""As botocore's own, to connect and to read."""
COMMAND = "python braket_container.py"


class SetupFailed(Exception):
    """The source cannot be fetched or unpacked."""


@dataclass(frozen=True)
class Script:
    """What to run, from the environment.

    Attributes:
        uri: S3 URI of the one source object.
        entry_point: ``module`` or ``module:callable``.
        compression: ``GZIP``, ``ZIP``, ``NONE`` or empty.
    """

    uri: str
    entry_point: str
    compression: str

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> Script:
        """Read the variables that the service sets.

        Raises:
            SetupFailed: There is no script.
        """
        names = ("S3_URI", "ENTRY_POINT", "COMPRESSION_TYPE")
        uri, entry, compression = (environ.get(f"AMZN_BRAKET_SCRIPT_{name}", "") for name in names)
        if not uri or not entry:
            raise SetupFailed("No customer script specified")
        return cls(uri, entry, compression)


class Container:
    """One run of a script.

    Args:
        base: ``/opt/ml``, or its stand-in.
    """

    def __init__(self, base: Path) -> None:
        self._base = base
        self._original = base / "code" / "customer_code" / "original"
        self._extracted = base / "code" / "customer_code" / "extracted"
        self._packages = base / "additional_setup"
        self._failure = base / "output" / "failure"

    def run(self, environ: Mapping[str, str]) -> int:
        """Run the script; returns the exit code."""
        _say("Beginning Setup")
        try:
            script = Script.from_environment(environ)
            self._prepare(script)
        except SetupFailed as error:
            # The published program ends with 0 here; the failure file makes the job fail.
            self._failure.write_text(str(error))
            _say(f"Setup failed: {error}")
            return 0
        _say("Checking for Additional Requirements")
        install_requirements(self._extracted, self._packages)
        _say("Running Code As Process")
        code = self._run_in_child(script.entry_point)
        _say("Code Run Finished")
        return self._report(code)

    def _prepare(self, script: Script) -> None:
        for directory in (self._original, self._extracted, self._packages):
            directory.mkdir(parents=True, exist_ok=True)
        try:
            archive = _download(script.uri, self._original)
        except Exception as error:
            raise SetupFailed(f"Unable to download code.\nException: {error}") from error
        try:
            _unpack(archive, script.compression, self._extracted)
        except Exception as error:
            raise SetupFailed(f"Unable to unpack code.\nException: {error}") from error

    def _run_in_child(self, entry_point: str) -> int:
        # Forked, as there: the child must not depend on what can be pickled.
        process = multiprocessing.get_context("fork").Process(
            target=self._child, args=(entry_point,)
        )
        process.start()
        # The whole group is told to end: the script decides how, and this program waits for it.
        signal.signal(signal.SIGTERM, lambda *_: None)
        process.join()
        return process.exitcode or 0

    def _child(self, entry_point: str) -> None:
        os.chdir(self._extracted)
        sys.path[:0] = [str(self._packages)]
        sys.path.append(str(self._extracted))
        try:
            call = _resolve(entry_point)
        except Exception as error:
            traceback.print_exc()
            self._failure.write_text(_toolkit_failure(1, f"{type(error).__name__}: {error}"))
            sys.exit(1)
        try:
            call()
        except Exception as error:
            traceback.print_exc()
            self._failure.write_text(f"{type(error).__name__}: {error}")
            sys.exit(1)

    def _report(self, code: int) -> int:
        if code == 0:
            (self._base / "output" / "success").touch()
            _say("Reporting training SUCCESS")
            return 0
        if not self._failure.exists():
            # A signal shows as the low byte of its negative number: 247 for SIGKILL.
            self._failure.write_text(_toolkit_failure(code & 0xFF, ""))
        _say("Reporting training FAILURE")
        return 1


def main() -> int:
    """Run the job's script; returns the exit code."""
    _say(f"Boto3 Version:  {version('boto3')}")
    base = Path(os.environ.get(BASE_VARIABLE, "/opt/ml"))
    if base == Path("/opt/ml"):
        with contextlib.suppress(FileExistsError):
            os.symlink("/opt/ml", "/opt/braket")
    return Container(base).run(os.environ)


def _download(uri: str, directory: Path) -> Path:
    """Fetch the source with the job's credentials; trying again as boto3 does.

    Signed as boto3 would sign it, but without boto3: to load that takes longer than all the rest
    of this program, which AWS's own hides behind a minute of starting an instance.
    """
    bucket, key = bucket_and_key(uri)
    target = directory / Path(key).name
    url = f"{os.environ['AWS_ENDPOINT_URL']}/{bucket}/{urllib.parse.quote(key)}"
    for pause in PAUSES_SECONDS:
        try:
            _get(url, target)
            return target
        except (OSError, HTTPException) as error:
            if getattr(error, "code", HTTPStatus.INTERNAL_SERVER_ERROR) < 500:
                raise
            time.sleep(pause)
    _get(url, target)
    return target


def _get(url: str, target: Path) -> None:
    signed = AWSRequest("GET", url)
    S3SigV4Auth(EnvProvider().load(), "s3", os.environ["AWS_REGION"]).add_auth(signed)
    request = urllib.request.Request(url, headers=dict(signed.headers.items()))
    # No proxy stands between a job and this machine.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=TIMEOUT_SECONDS) as answer, target.open("wb") as file:
        shutil.copyfileobj(answer, file)
        got, whole = file.tell(), int(answer.headers["Content-Length"])
    if got < whole:  # nothing else says that the connection broke off
        raise IncompleteRead(b"", whole - got)


def _unpack(archive: Path, compression: str, target: Path) -> None:
    kind = compression.strip().lower()
    if kind not in ARCHIVES:
        shutil.copy(archive, target)
    elif kind == "zip":
        shutil.unpack_archive(archive, target, "zip")
    else:
        # Early 3.11 releases, such as Debian 12's, have no filters yet.
        safely: dict[str, Any] = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
        shutil.unpack_archive(archive, target, "gztar", **safely)


def _resolve(entry_point: str) -> Callable[[], object]:
    """The entry point as something to call, with hyperparameters bound if they fit it."""
    module, colon, name = entry_point.partition(":")
    if not colon:
        return lambda: runpy.run_module(module, run_name="__main__", alter_sys=True)
    function = getattr(importlib.import_module(module), name)
    arguments = _arguments(function)
    return lambda: function(**arguments)


def _arguments(function: Callable[..., Any]) -> dict[str, Any]:
    """Hyperparameters as keyword arguments, cast as annotated; none if they do not fit.

    The published program calls whatever stands in the annotation, so that a module with
    ``from __future__ import annotations`` dies there; here the annotations are resolved first.
    """
    parameters = _hyperparameters()
    try:
        inspect.signature(function).bind(**parameters)
    except TypeError:
        return {}
    hints = _hints(function)
    return {name: hints.get(name, str)(value) for name, value in parameters.items()}


def _hints(function: Callable[..., Any]) -> dict[str, Any]:
    try:
        return typing.get_type_hints(function)
    except (NameError, TypeError):
        return {}


def _hyperparameters() -> dict[str, str]:
    path = Path(os.environ.get("AMZN_BRAKET_HP_FILE", ""))
    if not path.is_file():
        return {}
    found: dict[str, str] = json.loads(path.read_text())
    return found


def _toolkit_failure(code: int, message: str) -> str:
    return (
        f'ExecuteUserScriptError:\nExitCode {code}\nErrorMessage "{message}"\nCommand "{COMMAND}"'
    )


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
