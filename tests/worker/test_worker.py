"""The container's program as a real process, with the local Braket's S3 behind a real socket."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from covalent._workflow.transportable_object import TransportableObject

from covalent_braket_plugin.protocol import (
    HP_MANIFEST,
    Versions,
)
from tests.support.braket_server import eventually
from tests.worker.conftest import Make


def double(number: int) -> int:
    print("working")
    return 2 * number


@pytest.mark.parametrize("arguments", [(), ("train",)])
def test_value_comes_first_and_the_outcome_last(container: Make, arguments: tuple[str]) -> None:
    job = container(double, 4)
    code, out, _ = job.run(*arguments)
    assert (code, out) == (0, "working\n")
    outcome = job.outcome()
    assert outcome.status == "completed"
    assert outcome.stdout.text == "working\n"
    (node,) = outcome.nodes
    body = job.s3.get_object(Bucket=job.keys.bucket, Key=node.key)["Body"].read()
    assert hashlib.sha256(body).hexdigest() == node.sha256
    value: object = TransportableObject.deserialize(body).get_deserialized()
    assert value == 8
    stamps = {
        item["Key"].rpartition("/")[2]: item["LastModified"]
        for item in job.s3.list_objects_v2(Bucket=job.keys.bucket, Prefix=job.keys.base)["Contents"]
    }
    assert stamps["outcome.json"] >= stamps["value-0.tobj"]
    assert not (job.root / "output/failure").exists()


def test_wrong_argument_teaches(container: Make) -> None:
    code, _, err = container(double, 1).run("serve")
    assert code == 2
    assert "usage:" in err


def test_error_of_the_electron_is_data_and_a_failure_reason(container: Make) -> None:
    def breaks() -> None:
        raise ValueError("energy is not finite")

    job = container(breaks)
    code, _, err = job.run()
    assert code == 1
    assert "ValueError: energy is not finite" in err
    assert job.failure() == "ValueError: energy is not finite"
    error = job.outcome().error
    assert error is not None
    assert (error.type, error.message, error.phase) == (
        "ValueError", "energy is not finite", "electron",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("damage", "type_"),
    [
        (lambda body: body[:-1], "TruncatedError"),
        (lambda body: body + b".", "TruncatedError"),
        (lambda body: body[:-2] + bytes([body[-2] ^ 1]) + body[-1:], "DigestError"),
    ],
)
def test_payload_that_was_changed_is_never_unpickled(
    container: Make, damage: Callable[[bytes], bytes], type_: str
) -> None:
    job = container(double, 1)
    place = {"Bucket": job.keys.bucket, "Key": job.keys.payload}
    job.s3.put_object(**place, Body=damage(job.s3.get_object(**place)["Body"].read()))
    assert job.run()[0] == 1
    error = job.outcome().error
    assert error is not None
    assert (error.type, error.phase) == (type_, "verify")


def test_manifest_that_was_changed_is_not_used(container: Make) -> None:
    job = container(double, 1)
    job.s3.put_object(Bucket=job.keys.bucket, Key=job.keys.manifest, Body=b"{}")
    assert job.run()[0] == 1
    error = job.outcome().error
    assert error is not None
    assert "SHA-256" in error.message


def test_other_python_is_refused_naming_both(container: Make) -> None:
    other = Versions("3.9.1", "2.2.1")
    job = container(double, 1, edit=lambda manifest: replace(manifest, versions=other))
    assert job.run()[0] == 1
    error = job.outcome().error
    assert error is not None
    assert error.type == "VersionMismatchError"
    assert "Python 3.9.1" in error.message
    assert f"Python {sys.version.split()[0]}" in error.message


def test_other_python_is_a_warning_if_the_user_says_so(container: Make) -> None:
    other = Versions("3.9.1", "2.2.1")
    job = container(
        double, 1, edit=lambda manifest: replace(manifest, versions=other, strict_python=False)
    )
    code, _, err = job.run()
    assert code == 0
    assert "Warning" in err


def test_newer_cloudpickle_is_refused(container: Make) -> None:
    newer = Versions(sys.version.split()[0], "99.0.0")
    job = container(double, 1, edit=lambda manifest: replace(manifest, versions=newer))
    assert job.run()[0] == 1
    assert "cloudpickle 99.0.0" in job.failure()


@pytest.mark.parametrize(
    ("hyperparameters", "text"),
    [({}, "has no covalent_manifest"), ({HP_MANIFEST: "s3://b/x"}, "is not the S3 URI")],
)
def test_job_that_is_not_ours_is_refused(
    container: Make, hyperparameters: dict[str, str], text: str
) -> None:
    job = container(double, 1)
    job.give(hyperparameters)
    assert job.run()[0] == 2
    assert text in job.failure()


def test_payload_that_is_not_there_is_an_outcome(container: Make) -> None:
    job = container(double, 1)
    job.s3.delete_object(Bucket=job.keys.bucket, Key=job.keys.payload)
    assert job.run()[0] == 1
    error = job.outcome().error
    assert error is not None
    assert error.phase == "fetch"


def test_sigterm_leaves_an_outcome_that_says_so(container: Make, tmp_path: Path) -> None:
    mark = tmp_path / "started"

    def endless(path: str) -> None:
        print("started", flush=True)
        Path(path).touch()
        time.sleep(60)

    job = container(endless, str(mark))
    process = job.start()
    eventually(mark.exists)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=20)
    assert process.returncode == 143
    outcome = job.outcome()
    assert outcome.status == "terminated"
    assert outcome.stdout.text == "started\n"
    assert "SIGTERM" in job.failure()


def test_output_comes_while_the_electron_runs(container: Make, tmp_path: Path) -> None:
    go_on = tmp_path / "go on"

    def patient(path: str) -> None:
        print("first")
        while not Path(path).exists():
            time.sleep(0.05)
        print("second")

    process = container(patient, str(go_on)).start()
    assert process.stdout is not None
    assert process.stdout.readline() == "first\n"
    go_on.touch()
    assert process.communicate(timeout=20)[0] == "second\n"


def test_grandchild_that_keeps_stdout_open_does_not_hold_us_up(container: Make) -> None:
    def leaves_a_child() -> None:
        subprocess.Popen(["sleep", "30"])

    start = time.monotonic()
    process = container(leaves_a_child).start()
    assert process.wait(timeout=20) == 0
    assert time.monotonic() - start < 15


def test_long_output_becomes_an_object_of_its_own(container: Make) -> None:
    def chatty() -> None:
        print("x" * 200_000)

    job = container(chatty)
    assert job.run()[0] == 0
    assert job.outcome().stdout.size == 200_001
    assert "stdout.log" in job.left()


def test_result_files_are_counted(container: Make) -> None:
    def writes() -> None:
        path = Path(os.environ["AMZN_BRAKET_JOB_RESULTS_DIR"])
        (path / "counts.json").write_text("{}")

    job = container(writes)
    assert job.run()[0] == 0
    assert job.outcome().result_files == 1


def test_electron_that_closes_its_streams_still_returns(container: Make) -> None:
    def rude() -> int:
        sys.stdout.close()
        os.close(2)
        return 1

    job = container(rude)
    assert job.run()[0] == 0
    assert job.outcome().status == "completed"


def test_worker_imports_nothing_but_the_standard_library_boto3_and_cloudpickle() -> None:
    code = (
        "import sys, covalent_braket_plugin.worker, covalent_braket_plugin.runtime, cloudpickle\n"
        "import boto3\n"
        "print(*sorted({name.split('.')[0] for name in sys.modules}))"
    )
    loaded = set(subprocess.check_output([sys.executable, "-c", code], text=True).split())
    assert "boto3" in loaded
    assert loaded.isdisjoint({"covalent", "pydantic", "braket", "pennylane", "numpy", "asyncio"})


STOPPED = (signal.SIGTERM, signal.SIGINT)


def _until_handled(process: subprocess.Popen[str]) -> None:
    """Wait until the worker has its signal handlers, which is before it imports boto3."""

    def handled() -> bool:
        status = Path(f"/proc/{process.pid}/status").read_text()
        caught = next(line for line in status.splitlines() if line.startswith("SigCgt"))
        return int(caught.split()[1], 16) >> (signal.SIGTERM - 1) & 1 == 1

    deadline = time.monotonic() + 10
    while not handled():
        assert time.monotonic() < deadline
        time.sleep(0.001)


@pytest.mark.parametrize("number", STOPPED)
@pytest.mark.parametrize("after", [0.0, 0.1, 0.3])
def test_stop_before_the_electron_runs_leaves_an_outcome(
    container: Make, number: signal.Signals, after: float
) -> None:
    def slow() -> None:
        time.sleep(30)

    job = container(slow)
    process = job.start()
    _until_handled(process)
    time.sleep(after)
    process.send_signal(number)
    process.communicate(timeout=20)
    assert process.returncode == 143
    assert job.outcome().status == "terminated"
    assert "told to stop" in job.failure()


def test_stop_ends_what_the_electron_started(container: Make, tmp_path: Path) -> None:
    mark = tmp_path / "pid"

    def starts_others(path: str) -> None:
        code = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(60)"
        child = subprocess.Popen([sys.executable, "-c", code], start_new_session=True)
        Path(path + ".part").write_text(str(child.pid))
        Path(path + ".part").rename(path)
        time.sleep(60)

    process = container(starts_others, str(mark)).start()
    eventually(mark.exists)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=20)
    stat = Path(f"/proc/{mark.read_text()}/stat")
    assert not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] in "ZX"


def test_electron_that_raises_when_told_to_stop_is_terminated(
    container: Make, tmp_path: Path
) -> None:
    mark = tmp_path / "started"

    def tidy(path: str) -> None:
        signal.signal(signal.SIGTERM, lambda *_: sys.exit("tidied up"))
        Path(path).touch()
        time.sleep(60)

    job = container(tidy, str(mark))
    process = job.start()
    eventually(mark.exists)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=20)
    assert process.returncode == 143
    outcome = job.outcome()
    assert outcome.status == "terminated"
    assert outcome.error is not None
    assert "tidied up" in outcome.error.message


@pytest.mark.parametrize("how", ["file", "environment"])
def test_of_several_instances_only_the_first_runs_the_electron(container: Make, how: str) -> None:
    job = container(double, 1)
    hosts = {"current_host": "algo-2", "hosts": ["algo-1", "algo-2"]}
    config = job.root / "input/config/resourceconfig.json"
    if how == "file":
        config.write_text(json.dumps(hosts))
    else:
        job.environment.update(SM_CURRENT_HOST="algo-2", SM_HOSTS='["algo-1", "algo-2"]')
    code, out, err = job.run()
    assert (code, out) == (0, "")
    assert "algo-2 does not" in err
    assert "outcome.json" not in job.left()
    config.write_text(json.dumps({**hosts, "current_host": "algo-1"}))
    assert job.run()[0] == 0
    assert job.outcome().status == "completed"


def test_error_text_of_any_length_is_cut_in_the_middle(container: Make) -> None:
    def breaks() -> None:
        raise ValueError("first" + "x" * 3_000_000 + "last")

    job = container(breaks)
    assert job.run()[0] == 1
    error = job.outcome().error
    assert error is not None
    assert error.message.startswith("first")
    assert error.message.endswith("last")
    assert "characters are left out" in error.message
    assert len(error.message) < 20_000
    assert len(error.traceback) < 300_000


def test_error_whose_text_cannot_be_had_is_still_reported(container: Make) -> None:
    class RudeError(Exception):
        def __str__(self) -> str:
            raise KeyboardInterrupt

    def breaks() -> None:
        raise RudeError

    job = container(breaks)
    assert job.run()[0] == 1
    error = job.outcome().error
    assert error is not None
    assert error.type.endswith("RudeError")
    assert "in breaks" in error.traceback


def test_exit_with_an_object_that_has_no_text_is_still_reported(container: Make) -> None:
    class Rude:
        def __repr__(self) -> str:
            raise KeyboardInterrupt

    def leaves() -> None:
        raise SystemExit(Rude())

    job = container(leaves)
    assert job.run()[0] == 1
    error = job.outcome().error
    assert error is not None
    assert error.type == "SystemExit"
    assert "Rude object" in error.message


def test_failure_reason_may_hold_what_utf8_cannot(container: Make) -> None:
    def breaks() -> None:
        raise ValueError("bad \udcff end")

    job = container(breaks)
    assert job.run()[0] == 1
    assert job.failure() == "ValueError: bad ? end"


@pytest.mark.parametrize("number", STOPPED)
def test_stop_that_reaches_the_electron_too_is_terminated(
    container: Make, tmp_path: Path, number: signal.Signals
) -> None:
    mark = tmp_path / "started"

    def endless(path: str) -> None:
        Path(path).touch()
        time.sleep(60)

    job = container(endless, str(mark))
    process = job.start(own_group=True)
    eventually(mark.exists)
    os.killpg(process.pid, number)
    process.communicate(timeout=20)
    assert process.returncode == 143
    assert job.outcome().status == "terminated"


@pytest.mark.slow
def test_electron_that_asks_is_told_to_stop_and_gets_time_to_save(
    container: Make, tmp_path: Path
) -> None:
    mark = tmp_path / "started"

    def saves_at_the_end(path: str) -> None:
        from covalent_braket_plugin import job

        while not job.should_stop():
            Path(path).touch()
            time.sleep(0.05)
        time.sleep(4)  # longer than an electron gets that does not ask
        job.checkpoint.save("all of it")
        job.stop("saved")

    job = container(saves_at_the_end, str(mark))
    kept = tmp_path / "kept"
    job.environment["AMZN_BRAKET_CHECKPOINT_DIR"] = str(kept)
    process = job.start()
    eventually(mark.exists)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=30)
    assert process.returncode == 143
    outcome = job.outcome()
    assert (outcome.status, outcome.checkpoints) == ("terminated", 1)
    assert outcome.error is not None
    assert (outcome.error.type, outcome.error.phase) == ("Stopped", "terminated")
    assert [path.name for path in kept.iterdir()] == ["checkpoint.ckpt"]


@pytest.mark.slow
@pytest.mark.parametrize("group", [False, True])
def test_checkpoint_that_is_being_saved_is_finished_before_the_electron_ends(
    container: Make, tmp_path: Path, group: bool
) -> None:
    kept = tmp_path / "kept"

    class Slow:
        def __reduce__(self) -> tuple[type[int], tuple[int]]:
            (kept.parent / "saving").touch()
            time.sleep(4)
            return int, (7,)

    def saves() -> None:
        from covalent_braket_plugin import job

        job.checkpoint.save([Slow()], allow_pickle=True)
        time.sleep(60)

    job = container(saves)
    job.environment["AMZN_BRAKET_CHECKPOINT_DIR"] = str(kept)
    process = job.start(own_group=True)
    eventually((tmp_path / "saving").exists)
    start = time.monotonic()
    (os.killpg if group else os.kill)(process.pid, signal.SIGTERM)
    process.communicate(timeout=30)
    assert process.returncode == 143
    assert time.monotonic() - start < 15  # it was not left to sleep
    assert [path.name for path in kept.iterdir()] == ["checkpoint.ckpt"]
    assert job.outcome().status == "terminated"


def test_value_of_an_electron_that_was_told_to_stop_counts(container: Make, tmp_path: Path) -> None:
    def returns_when_asked(path: str) -> str:
        from covalent_braket_plugin import job

        while not job.should_stop():
            Path(path).touch()
            time.sleep(0.05)
        return "all of it"

    job = container(returns_when_asked, str(tmp_path / "started"))
    process = job.start()
    eventually((tmp_path / "started").exists)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=30)
    assert process.returncode == 0
    assert job.outcome().status == "completed"


@pytest.mark.slow
def test_electron_is_told_of_its_time_limit_before_it_comes(container: Make) -> None:
    def waits() -> float | None:
        from covalent_braket_plugin import job

        left = job.seconds_left()
        while not job.should_stop():
            time.sleep(0.05)
        return left

    job = container(waits)
    told = json.loads((job.root / "input/config/hyperparameters.json").read_text())
    job.give({**told, "covalent_run": json.dumps({"time_limit": 8})})
    start = time.monotonic()
    assert job.run()[0] == 0
    assert 2 < time.monotonic() - start < 8
