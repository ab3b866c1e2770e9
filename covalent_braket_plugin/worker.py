"""The program in the job's container: ``python -m covalent_braket_plugin.worker [train]``.

SageMaker starts a training image with the argument ``train``; Braket adds the ``AMZN_BRAKET_*``
environment. The hyperparameter file (`opt_ml`) says where the manifest lies. This process fetches
and verifies, runs the electron in a child process (`runtime`) whose output it passes on to the
job's log as it comes, and always leaves exactly one outcome: values first, ``outcome.json`` last.

Standard library and boto3 only. Exit codes are those of `protocol`; on failure
``/opt/ml/output/failure`` says why, which Braket shows as the job's failure reason
(https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-training-algo-output.html).
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import os
import platform
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import FrameType
from typing import Any, Literal

from covalent_braket_plugin import __version__, budget, opt_ml, payload, runtime
from covalent_braket_plugin.errors import BraketPluginError, DigestError, VersionMismatchError
from covalent_braket_plugin.job import result_files
from covalent_braket_plugin.job.checkpoint import INPUTS_VARIABLE
from covalent_braket_plugin.job.stopping import STOP_AT_VARIABLE
from covalent_braket_plugin.protocol import (
    EXIT_ELECTRON_FAILED,
    EXIT_OK,
    EXIT_TERMINATED,
    EXIT_WORKER_FAILED,
    HP_MANIFEST,
    HP_MANIFEST_SHA256,
    HP_RUN,
    INLINE_STREAM_BYTES,
    MAX_LISTED_FILES,
    OUT_OF_MEMORY,
    ErrorData,
    Keys,
    Manifest,
    NodeOutcome,
    Outcome,
    ResultFile,
    Stream,
    Versions,
    inputs_digest,
    mismatches,
)
from covalent_braket_plugin.supervisor import Ended, how_it_ended, supervise

__all__ = ["main"]

STOP_EARLY_SHARE = 0.1
STOP_EARLY_SECONDS = 5.0, 120.0
"""How long before its time limit an electron is told to stop, as a share, at least and at most: its
step has to end, it saves, and that is uploaded. It is half of a very short limit."""

RESULTS_PART_BYTES = 32 * 1024 * 1024
"""S3 takes 10,000 parts of one upload: more than any instance's disk is usually made for."""

TERMINATED_RESULTS_SECONDS = 60.0
"""How long the upload of result files may take once we were told to stop: SageMaker ends a training
job 120 s after it (docs.aws.amazon.com/sagemaker/latest/APIReference/API_StopTrainingJob.html)."""


class _Terminated(BaseException):
    """SIGTERM or SIGINT came. Like KeyboardInterrupt it is nothing that boto3 may catch."""


@dataclass
class _Stop:
    """Whether we were told to stop, and what to do about it: note it, or raise, once."""

    requested: bool = False
    raises: bool = False

    def install(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)

    def arm(self) -> None:
        """From here on raise; now, if it has come already."""
        self.raises = True
        if self.requested:
            self._raise()

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self.requested = True
        if self.raises:
            self._raise()

    def _raise(self) -> None:
        self.raises = False
        raise _Terminated("The job was told to stop before the electron ran")


@dataclass
class _Job:
    """What one run of the worker knows."""

    keys: Keys
    s3: Any
    directory: Path
    stop: _Stop
    manifest: Manifest | None = None
    seconds: dict[str, float] = field(default_factory=dict)
    phase: str = "fetch"

    @contextlib.contextmanager
    def timed(self, phase: str) -> Any:
        self.phase = phase
        start = time.monotonic()
        try:
            yield
        finally:
            self.seconds[phase] = round(time.monotonic() - start, 6)


def main(argv: list[str]) -> int:
    """Run one job.

    Args:
        argv: Nothing, or SageMaker's ``train``.

    Returns:
        The exit code.
    """
    if argv not in ([], ["train"]):
        sys.stderr.write("usage: python -m covalent_braket_plugin.worker [train]\n")
        return EXIT_WORKER_FAILED
    stop = _Stop()
    stop.install()
    if host := opt_ml.other_host():
        sys.stderr.write(f"The first of the job's instances runs the electron; {host} does not\n")
        return EXIT_OK
    opt_ml.link_opt_braket()
    try:
        hyperparameters = opt_ml.read_hyperparameters()
        job = _begin(hyperparameters, stop)
    except Exception as error:  # nobody to tell but the log and the failure file
        traceback.print_exc()
        opt_ml.write_failure(f"{type(error).__name__}: {error}")
        return EXIT_WORKER_FAILED
    with contextlib.closing(_Scratch(job.directory)):
        return _conclude(job, _run(job, hyperparameters))


class _Scratch:
    """Removes a directory when closed."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def close(self) -> None:
        shutil.rmtree(self._directory, ignore_errors=True)


def _begin(hyperparameters: dict[str, str], stop: _Stop) -> _Job:
    import boto3
    from botocore.config import Config

    config = Config(
        retries={"mode": "standard", "max_attempts": 8},
        user_agent_extra=f"covalent-braket-worker/{__version__}",
    )
    keys = Keys.from_manifest_uri(hyperparameters[HP_MANIFEST])
    s3 = boto3.client("s3", config=config)
    return _Job(keys, s3, Path(tempfile.mkdtemp(prefix="covalent-braket-")), stop)


def _run(job: _Job, hyperparameters: dict[str, str]) -> Outcome:
    """Do the work; whatever happens becomes an outcome."""
    try:
        job.stop.arm()
        return _work(job, hyperparameters)
    except _Terminated as error:  # raised once only: from here on signals are just noted
        return _failed(job, ErrorData("Terminated", str(error), phase=job.phase), "terminated")


def _work(job: _Job, hyperparameters: dict[str, str]) -> Outcome:
    try:
        with job.timed("fetch"):
            job.manifest = _fetch(job, hyperparameters.get(HP_MANIFEST_SHA256, ""))
        with job.timed("verify"):
            payload.verify(job.directory / runtime.PAYLOAD_FILE, job.manifest)
            _check_versions(job.manifest)
        with job.timed("run"):
            job.stop.raises = False
            variables = _variables(job.manifest, hyperparameters)
            ended = supervise(job.directory, lambda: job.stop.requested, variables)
        return _outcome_of(job, ended)
    except Exception as error:
        job.stop.raises = False
        traceback.print_exc()
        data = ErrorData(type(error).__name__, str(error), traceback.format_exc(), "", job.phase)
        return _failed(job, data)


def _fetch(job: _Job, sha256: str) -> Manifest:
    body = job.s3.get_object(Bucket=job.keys.bucket, Key=job.keys.manifest)["Body"].read()
    found = hashlib.sha256(body).hexdigest()
    if found != sha256:
        raise DigestError(
            f"The manifest's SHA-256 is {found}, the job's hyperparameter says {sha256}: "
            "it was changed or damaged on the way, and is not used"
        )
    (job.directory / runtime.MANIFEST_FILE).write_bytes(body)
    target = job.directory / runtime.PAYLOAD_FILE
    job.s3.download_file(job.keys.bucket, job.keys.payload, str(target))
    return Manifest.from_json(body)


def _variables(manifest: Manifest, hyperparameters: dict[str, str]) -> dict[str, str]:
    """Say to the electron what `job.checkpoint` and `job.should_stop` need to know."""
    run = json.loads(hyperparameters.get(HP_RUN, "{}"))
    inputs = inputs_digest(manifest, hyperparameters) if run.get("own_checkpoints") else ""
    variables = {INPUTS_VARIABLE: inputs}
    limit = float(run.get("time_limit", 0))
    if limit:
        least, most = STOP_EARLY_SECONDS
        early = min(max(limit * STOP_EARLY_SHARE, least), most, limit / 2)
        began = time.monotonic() - opt_ml.seconds_since_start()
        variables[STOP_AT_VARIABLE] = str(began + limit - early)
    return variables


def _check_versions(manifest: Manifest) -> None:
    strict = {"python": manifest.strict_python, "cloudpickle": manifest.strict_versions}
    for problem in mismatches(manifest.versions, _own_versions()):
        advice = (
            f"{problem.text[0].upper()}{problem.text[1:]} in the job's image. Use an image with "
            f"Python {manifest.versions.python} and cloudpickle {manifest.versions.cloudpickle}, "
            "or run Covalent with the image's versions."
        )
        if strict[problem.kind]:
            raise VersionMismatchError(advice)
        sys.stderr.write(f"Warning: {advice}\n")


def _own_versions() -> Versions:
    try:
        return Versions(platform.python_version(), version("cloudpickle"))
    except PackageNotFoundError:
        return payload.own_versions()


# --- the outcome -----------------------------------------------------------------------------


def _outcome_of(job: _Job, ended: Ended) -> Outcome:
    result_file = job.directory / runtime.RESULT_FILE
    if not result_file.is_file():
        status: Literal["failed", "terminated"] = "terminated" if ended.stopped else "failed"
        error, seconds = how_it_ended(job.directory, ended)
        outcome = _failed(job, error, status)
        return replace(outcome, seconds={**outcome.seconds, **seconds})
    outcome = Outcome.from_json(result_file.read_bytes())
    if outcome.error is not None and ended.out_of_memory:  # such as a process that it had started
        message = f"{outcome.error.message} ({OUT_OF_MEMORY})"
        outcome = replace(outcome, error=replace(outcome.error, message=message))
    if outcome.status == "failed" and job.stop.requested:  # an electron that raised when asked
        outcome = replace(outcome, status="terminated")
    return replace(outcome, seconds={**job.seconds, **outcome.seconds})


def _failed(
    job: _Job, error: ErrorData, status: Literal["failed", "terminated"] = "failed"
) -> Outcome:
    manifest = job.manifest
    main = manifest.main_node if manifest else None
    nodes = [
        NodeOutcome(call.node_id, "failed" if call.node_id == main else "not_run", name=call.name)
        for call in (manifest.calls if manifest else [])
    ]
    names: dict[int | None, str] = {node.node_id: node.name for node in nodes}
    return Outcome(
        status,
        nodes,
        error=replace(error, node_id=main, name=names.get(main, "")),
        seconds=job.seconds,
        versions=_own_versions(),
        main_node=main,
    )


def _conclude(job: _Job, outcome: Outcome) -> int:
    """Upload, values first and ``outcome.json`` last, and say the same to Braket."""
    try:
        outcome = _upload(job, outcome)
    except Exception as error:
        traceback.print_exc()
        opt_ml.write_failure(f"The outcome could not be uploaded: {type(error).__name__}: {error}")
        return EXIT_WORKER_FAILED
    if outcome.error is not None:
        opt_ml.write_failure(f"{outcome.error.type}: {outcome.error.message}")
        if outcome.error.traceback:
            sys.stderr.write(outcome.error.traceback)
    _keep_result_files(job, outcome)
    if outcome.status == "terminated":
        return EXIT_TERMINATED
    return EXIT_OK if outcome.error is None else EXIT_ELECTRON_FAILED


def _upload(job: _Job, outcome: Outcome) -> Outcome:
    start = time.monotonic()
    put = _uploader(job)
    nodes = []
    for node in outcome.nodes:
        if node.status == "completed":
            key = job.keys.value(node.node_id)
            put(job.directory / node.key, key)
            node = replace(node, key=key)
        nodes.append(node)
    outcome = replace(
        outcome,
        device=os.environ.get("AMZN_BRAKET_DEVICE_ARN", ""),
        nodes=nodes,
        stdout=_stream(job, "stdout", put),
        stderr=_stream(job, "stderr", put),
        checkpoints=_count_files("AMZN_BRAKET_CHECKPOINT_DIR"),
        spent=budget.counted(job.directory, job.manifest.budget if job.manifest else None),
        seconds={**outcome.seconds, "upload": round(time.monotonic() - start, 6)},
        **_result_files(),
    )
    extra = _encryption(job)
    job.s3.put_object(Bucket=job.keys.bucket, Key=job.keys.outcome, Body=outcome.to_json(), **extra)
    return outcome


def _uploader(job: _Job) -> Callable[[Path, str], None]:
    extra = _encryption(job)

    def put(path: Path, key: str) -> None:
        job.s3.upload_file(str(path), job.keys.bucket, key, ExtraArgs=extra)

    return put


def _encryption(job: _Job) -> dict[str, str]:
    key_id = job.manifest.kms_key_id if job.manifest else ""
    return {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": key_id} if key_id else {}


def _stream(job: _Job, name: str, put: Callable[[Path, str], None]) -> Stream:
    path = job.directory / f"{name}.log"
    size = path.stat().st_size if path.is_file() else 0
    if size == 0:
        return Stream()
    if size <= INLINE_STREAM_BYTES:
        return Stream(text=path.read_bytes().decode("utf-8", "replace"), size=size)
    put(path, job.keys.stream(name))
    return Stream(key=job.keys.stream(name), size=size)


def _count_files(variable: str) -> int:
    directory = os.environ.get(variable, "")
    if not directory:
        return 0
    return sum(len(files) for _, _, files in os.walk(directory))


def _result_files() -> dict[str, Any]:
    """What the outcome says of the electron's result files."""
    count, listed = result_files.found()
    files = [ResultFile(name, size) for name, size in listed[:MAX_LISTED_FILES]]
    return {"result_files": count, "files": files or None}


def _keep_result_files(job: _Job, outcome: Outcome) -> None:
    """Upload the result files of an electron that did not complete; never fails.

    Braket uploads those of jobs that end well; of others it does not say so. The outcome is there
    by then, whatever happens here.
    """
    if outcome.status == "completed" or not outcome.result_files:
        return
    seconds = TERMINATED_RESULTS_SECONDS if outcome.status == "terminated" else math.inf
    try:
        from boto3.s3.transfer import TransferConfig

        config = TransferConfig(multipart_chunksize=RESULTS_PART_BYTES, max_concurrency=2)
        with result_files.packed(seconds) as archive:
            where = job.keys.bucket, job.keys.results
            job.s3.upload_fileobj(archive, *where, ExtraArgs=_encryption(job), Config=config)
    except Exception as error:
        sys.stderr.write(f"The result files could not be kept: {type(error).__name__}: {error}\n")


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except BraketPluginError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(EXIT_WORKER_FAILED)
