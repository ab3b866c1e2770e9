"""Being told to stop, inside an electron's own process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from covalent_braket_plugin import job
from covalent_braket_plugin.job.stopping import (
    ASKS_FILE,
    RUN_VARIABLE,
    STOP_AT_VARIABLE,
    STOP_FILE,
)


def run(code: str, directory: Path) -> subprocess.CompletedProcess[str]:
    """Run code as an electron's process would be."""
    environment = {**os.environ, RUN_VARIABLE: str(directory)}
    environment["AMZN_BRAKET_CHECKPOINT_DIR"] = str(directory / "kept")
    return subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=30
    )


TERM = "import os, signal; from covalent_braket_plugin import job\nos.kill(os.getpid(), 15)\n"
ASK = "import os, signal; from covalent_braket_plugin import job\nprint(job.should_stop())\n"


def test_process_that_does_not_ask_ends_at_once(tmp_path: Path) -> None:
    assert run(TERM + "print('alive')", tmp_path).returncode == -signal.SIGTERM


def test_process_that_asks_lives_on_and_is_told(tmp_path: Path) -> None:
    done = run(ASK + "os.kill(os.getpid(), 15); print(job.should_stop())", tmp_path)
    assert (done.returncode, done.stdout) == (0, "False\nTrue\n")
    assert (tmp_path / ASKS_FILE).exists()


def test_handler_of_the_users_own_is_called_as_well(tmp_path: Path) -> None:
    own = "import signal; signal.signal(15, lambda *_: print('mine'))\n"
    done = run(own + ASK + "os.kill(os.getpid(), 15); print(job.should_stop())", tmp_path)
    assert done.stdout == "False\nmine\nTrue\n"


def test_later_handler_of_the_users_own_may_call_the_one_before(tmp_path: Path) -> None:
    own = """
before = signal.signal(15, lambda *found: (print("mine"), before(*found)))
job.checkpoint.save(1)
os.kill(os.getpid(), 15)
print(job.should_stop())
"""
    assert run(ASK + own, tmp_path).stdout == "False\nmine\nTrue\n"


def test_process_whose_thread_asked_first_lives_on_too(tmp_path: Path) -> None:
    thread = "import os, threading; from covalent_braket_plugin import job\n"
    thread += "asks = threading.Thread(target=job.should_stop); asks.start(); asks.join()\n"
    last = "print(job.should_stop()); os.kill(os.getpid(), 15); print(job.should_stop())"
    assert run(thread + last, tmp_path).stdout == "False\nTrue\n"


def test_pool_of_an_electron_that_asks_can_be_ended(tmp_path: Path) -> None:
    pool = """
import multiprocessing, time
with multiprocessing.get_context("fork").Pool(2) as pool:
    print(pool.map(abs, [-1, 2]))
print("ended")
"""
    assert run(ASK + pool, tmp_path).stdout == "False\n[1, 2]\nended\n"


def test_forked_process_finishes_what_it_saves_and_then_ends(tmp_path: Path) -> None:
    code = """
class Ends:
    def __reduce__(self):
        os.kill(os.getpid(), 15)
        return int, (7,)

child = os.fork()
if child == 0:
    job.checkpoint.save(Ends(), allow_pickle=True)
    os._exit(3)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
print(job.should_stop(), job.checkpoint.load(allow_pickle=True))
"""
    assert run(ASK + code, tmp_path).stdout == "False\n-15\nFalse 7\n"


def test_process_forked_while_a_thread_saves_can_be_ended(tmp_path: Path) -> None:
    code = """
import multiprocessing, threading, time
begun = threading.Event()

class Slow:
    def __reduce__(self):
        begun.set()
        time.sleep(0.5)
        return int, (7,)

job.checkpoint.save(1)
save = threading.Thread(target=job.checkpoint.save, args=[Slow()], kwargs={"allow_pickle": True})
save.start()
begun.wait()
child = multiprocessing.get_context("fork").Process(target=time.sleep, args=[20])
child.start(); time.sleep(0.3)
child.terminate()
child.join(10)
print(child.exitcode)
child.kill()
"""
    done = run("from covalent_braket_plugin import job" + code, tmp_path)
    assert done.stdout == "-15\n", done.stderr


def test_signal_while_a_thread_saves_ends_the_process_when_that_is_done(tmp_path: Path) -> None:
    code = """
import threading, time

class Ends:
    def __reduce__(self):
        os.kill(os.getpid(), 15)
        time.sleep(0.2)
        return int, (7,)

job.checkpoint.save(1)
save = threading.Thread(target=job.checkpoint.save, args=[Ends()], kwargs={"allow_pickle": True})
save.start()
save.join()
time.sleep(10)
"""
    done = run("import os; from covalent_braket_plugin import job" + code, tmp_path)
    assert (done.returncode, done.stderr) == (-signal.SIGTERM, "")
    look = "from covalent_braket_plugin import job; print(job.checkpoint.load(allow_pickle=True))"
    assert run(look, tmp_path).stdout == "7\n"


def test_threads_learn_of_it_from_the_worker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = """
import threading, pathlib
told = []
thread = threading.Thread(target=lambda: told.append(job.should_stop()))
thread.start(); thread.join()
print(told)
"""
    (tmp_path / STOP_FILE).touch()
    assert run("from covalent_braket_plugin import job" + code, tmp_path).stdout == "[True]\n"


def test_time_that_is_left_runs_out(tmp_path: Path) -> None:
    environment = {**os.environ, RUN_VARIABLE: str(tmp_path)}
    environment[STOP_AT_VARIABLE] = str(time.monotonic() + 1000)
    code = "from covalent_braket_plugin import job; print(job.seconds_left(), job.should_stop())"
    command = [sys.executable, "-c", code]
    left, told = subprocess.check_output(command, env=environment, text=True).split()
    assert 900 < float(left) < 1000
    assert told == "False"
    environment[STOP_AT_VARIABLE] = str(time.monotonic() - 1)
    assert subprocess.check_output(command, env=environment, text=True) == "0.0 True\n"


def test_stopping_is_nothing_that_a_program_catches_by_accident() -> None:
    def careful() -> None:
        try:
            job.stop("3 of 5")
        except Exception:
            raise AssertionError from None

    with pytest.raises(job.Stopped, match="3 of 5"):
        careful()
