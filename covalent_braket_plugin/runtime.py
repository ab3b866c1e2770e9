"""The child process that unpickles and runs electrons.

Started as ``python -m covalent_braket_plugin.runtime DIRECTORY``. It is a process of its own so
that an electron that exits, crashes or is killed cannot take the worker with it, and so that the
dispatcher never unpickles anything. The directory::

    manifest.json, payload.bin     what to run, verified by whoever starts this
    value-{node}.tobj              written here: what an electron returned
    phase.json                     written here: what is done now, for whoever finds us dead
    result.json                    written here, last: an `Outcome` without streams

Standard library and cloudpickle only; the electron finds a process without boto3 or asyncio in it.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import sysconfig
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from covalent_braket_plugin import budget, budget_hooks, payload, steps
from covalent_braket_plugin.errors import BraketPluginError, CostLimitError
from covalent_braket_plugin.job import stopping
from covalent_braket_plugin.protocol import (
    EXIT_ELECTRON_FAILED,
    EXIT_OK,
    EXIT_WORKER_FAILED,
    STOPPED,
    Call,
    ErrorData,
    Manifest,
    NodeOutcome,
    Outcome,
)

__all__ = ["main", "run_directory"]

MANIFEST_FILE = "manifest.json"
PAYLOAD_FILE = "payload.bin"
PHASE_FILE = "phase.json"
RESULT_FILE = "result.json"
FILES_KEYWORD = "files"
"""Covalent always passes the results of file transfers as a list."""

MAX_MESSAGE_CHARACTERS = 16 * 1024
MAX_TRACEBACK_CHARACTERS = 256 * 1024
"""Error texts go through the dispatcher's memory and into its database, so they have a limit."""


@dataclass
class _Run:
    """State of one run of a directory."""

    directory: Path
    manifest: Manifest
    nodes: list[NodeOutcome] = field(default_factory=list)
    values: dict[int, Any] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    phase: str = "load"
    call: Call | None = None

    @contextlib.contextmanager
    def timed(self, phase: str) -> Iterator[None]:
        self.phase = phase
        with contextlib.suppress(OSError):  # only a nicety
            text = json.dumps({"phase": phase, "seconds": self.seconds})
            (self.directory / PHASE_FILE).write_text(text)
        start = time.monotonic()
        try:
            yield
        finally:
            spent = time.monotonic() - start
            self.seconds[phase] = round(self.seconds.get(phase, 0.0) + spent, 6)

    def load(self, number: int) -> Any:
        part = self.manifest.parts[number]
        return payload.load_part(self.directory / PAYLOAD_FILE, part)


def run_directory(directory: Path) -> int:
    """Run what a directory holds and leave ``result.json`` in it.

    Returns:
        The exit code: 0, or 1 if an electron failed.
    """
    manifest = Manifest.from_json((directory / MANIFEST_FILE).read_bytes())
    run = _Run(directory, manifest)
    error = None
    try:
        if manifest.budget is not None:
            budget_hooks.install(manifest.budget, directory)
        for call in manifest.calls:
            run.call = call
            _run_call(run, call)
        if manifest.budget is not None:
            _tell(budget.passed_over(directory, os.environ.get("AMZN_BRAKET_DEVICE_ARN", "")))
    except BaseException as problem:  # SystemExit and KeyboardInterrupt end an electron, not us
        error = _as_data(problem, run)
    _leave_result(run, error)
    return EXIT_OK if error is None else EXIT_ELECTRON_FAILED


def _tell(warning: str) -> None:
    if warning:
        with contextlib.suppress(Exception):  # the electron may have closed it
            sys.stderr.write(f"Warning: {warning}\n")


def _run_call(run: _Run, call: Call) -> None:
    injected: dict[str, list[Any]] = {}
    for hook in call.hooks:
        if hook["when"] == "before":
            # One after the other: a step may need what an earlier one has installed.
            value = _run_hook(run, hook, _load_hook(run, hook))
            if hook.get("keyword"):
                injected.setdefault(hook["keyword"], []).append(value)
    after = [(hook, _load_hook(run, hook)) for hook in call.hooks if hook["when"] == "after"]
    with run.timed("load"):
        function = run.load(call.function)
        args = [_argument(run, item) for item in call.args]
        kwargs = {key: _argument(run, item) for key, item in call.kwargs.items()}
    for key, values in injected.items():
        kwargs[key] = values if len(values) > 1 or key == FILES_KEYWORD else values[0]
    with run.timed("electron"):
        value = function(*args, **kwargs)
    for hook, step in after:
        _run_hook(run, hook, step)
    with run.timed("pickle"):
        _keep_value(run, call, value)


def _argument(run: _Run, item: dict[str, int]) -> Any:
    return run.values[item["node"]] if "node" in item else run.load(item["part"])


def _load_hook(run: _Run, hook: dict[str, Any]) -> Any:
    # Covalent's own bash and pip steps are pickled by reference to Covalent: they are given as
    # text, or only their arguments are unpickled, so that the container needs no Covalent.
    if "call" not in hook:
        return None
    call = hook["call"]
    wanted = ("args", "kwargs") if hook.get("builtin") else ("function", "args", "kwargs")
    with run.timed("load"):
        return {key: run.load(call[key]) for key in wanted}


def _run_hook(run: _Run, hook: dict[str, Any], step: Any) -> Any:
    if hook.get("builtin") == "apply_bash_commands":
        hook = {**hook, "bash": step["args"][0]}
    if hook.get("builtin") == "apply_pip_deps":
        packages, *rest = step["args"]
        hook = {**hook, "pip": {"packages": packages, "requirements": rest[0] if rest else ""}}
    if "bash" in hook:
        with run.timed("bash"):
            return steps.run_bash(hook["bash"])
    if "pip" in hook:
        with run.timed("pip"):
            return steps.run_pip(**hook["pip"])
    with run.timed(f"call_{hook['when']}"):
        return step["function"](*step["args"], **step["kwargs"])


def _keep_value(run: _Run, call: Call, value: Any) -> None:
    path = run.directory / f"value-{call.node_id}.tobj"
    name = f"The value that {call.name}() returned"
    digest = payload.dump_value(value, path, name=name, whole_string=call.whole_string)
    size = path.stat().st_size
    run.nodes.append(
        NodeOutcome(call.node_id, "completed", path.name, size, digest, name=call.name)
    )
    if len(run.manifest.calls) > 1:
        run.values[call.node_id] = value


def _leave_result(run: _Run, error: ErrorData | None) -> None:
    done = {node.node_id for node in run.nodes}
    fates = iter(["failed"])
    rest = [
        NodeOutcome(call.node_id, "failed" if next(fates, None) else "not_run", name=call.name)
        for call in run.manifest.calls
        if call.node_id not in done
    ]
    stopped = error is not None and error.type == STOPPED
    outcome = Outcome(
        status="terminated" if stopped else "failed" if error else "completed",
        nodes=run.nodes + rest,
        error=error,
        seconds=run.seconds,
        versions=payload.own_versions(),
        main_node=run.manifest.main_node,
    )
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):  # the electron may have closed them
            stream.flush()
    scratch = run.directory / f"{RESULT_FILE}.part"
    scratch.write_bytes(outcome.to_json())
    scratch.replace(run.directory / RESULT_FILE)


def _as_data(problem: BaseException, run: _Run) -> ErrorData:
    return ErrorData(
        type=_text(lambda: _type_name(type(problem)), "Exception"),
        message=_text(lambda: _message(problem), object.__repr__(problem)),
        traceback=_text(lambda: _traceback(problem), "", MAX_TRACEBACK_CHARACTERS),
        location=_text(lambda: _location(problem), ""),
        phase=_stop_reason(problem) or run.phase,
        node_id=run.call.node_id if run.call else None,
        name=run.call.name if run.call else "",
    )


def _stop_reason(problem: BaseException) -> str:
    return stopping.reason() if isinstance(problem, stopping.Stopped) else ""


def _text(make: Callable[[], str], default: str, most: int = MAX_MESSAGE_CHARACTERS) -> str:
    """Make a text out of the user's objects, which may raise anything or be of any length."""
    try:
        return _cut(make(), most)
    except BaseException:  # the error that we report matters more than one in its own __str__
        return _cut(default, most)


def _cut(text: str, most: int) -> str:
    if len(text) <= most:
        return text
    half = most // 2
    note = f"\n[... {len(text) - 2 * half} characters are left out here ...]\n"
    return text[:half] + note + text[-half:]


def _type_name(kind: type[BaseException]) -> str:
    ours = issubclass(kind, (BraketPluginError, steps.StepFailedError, stopping.Stopped))
    if ours or kind.__module__ in ("builtins", "__main__", __name__):
        return kind.__qualname__
    return f"{kind.__module__}.{kind.__qualname__}"


def _traceback(problem: BaseException) -> str:
    ours = isinstance(problem, (BraketPluginError, steps.StepFailedError))
    if ours and not isinstance(problem, CostLimitError):
        # Where we raised it says nothing to users; what lies behind it does.
        cause = _traceback(problem.__cause__) + "\n" if problem.__cause__ else ""
        return f"{cause}{_type_name(type(problem))}: {problem}\n"
    frames = traceback.format_exception(type(problem), problem, _user_frames(problem))
    return "".join(frames)


def _message(problem: BaseException) -> str:
    if not isinstance(problem, SystemExit):
        hint = payload.covalent_hint(problem)
        return f"{problem}.{hint}" if hint else str(problem)
    code = _text(lambda: repr(problem.code), object.__repr__(problem.code))
    return f"the electron called sys.exit({code})"


def _user_frames(problem: BaseException) -> TracebackType | None:
    """Leave out our own frames at the top, unless the error happened in them."""
    trace = problem.__traceback__
    while trace is not None and trace.tb_frame.f_code.co_filename in _OWN_FILES:
        trace = trace.tb_next
    return trace if trace is not None else problem.__traceback__


_OWN_FILES = {
    module.__file__
    for module in (sys.modules[__name__], budget, budget_hooks, payload, steps, stopping)
}
_PACKAGE_DIRS = frozenset({"site-packages", "dist-packages"})
_LIBRARY_DIRS = tuple(
    path for key, path in sysconfig.get_paths().items() if key in ("stdlib", "purelib", "platlib")
)


def _is_library(file: str) -> bool:
    # A virtual environment may take packages from a directory of another one.
    return file.startswith(_LIBRARY_DIRS) or not _PACKAGE_DIRS.isdisjoint(Path(file).parts)


def _location(problem: BaseException) -> str:
    frames = traceback.extract_tb(_user_frames(problem))
    own = [
        frame
        for frame in frames
        if not _is_library(frame.filename) and frame.filename not in _OWN_FILES
    ]
    if not own:
        return ""
    frame = own[-1]
    line = f": {frame.line}" if frame.line else ""
    return f'File "{frame.filename}", line {frame.lineno}, in {frame.name}{line}'


def main(argv: list[str]) -> int:
    """Run the directory named by the only argument."""
    if len(argv) != 1:
        sys.stderr.write("usage: python -m covalent_braket_plugin.runtime DIRECTORY\n")
        return EXIT_WORKER_FAILED
    return run_directory(Path(argv[0]))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
