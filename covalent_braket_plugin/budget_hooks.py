"""Has botocore ask a budget before each quantum task, in all of an electron's Python processes.

Installed in the electron's process before the electron is loaded: every botocore session that is
made then has our handlers, whoever uses it (the Braket SDK, PennyLane, boto3). A task that would
cost too much raises `CostLimitError` in the user's code and is not sent. Processes that the
electron forks share the one budget, and so do the Python programs that it starts. Not seen are
calls that are not made with botocore, and programs without our package or with another
environment. This keeps mistakes from being expensive; it is no wall against whoever wants over it.
Standard library only.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

from covalent_braket_plugin.budget import FREE, LEDGER_FILE, Guard
from covalent_braket_plugin.protocol import Budget, Manifest

__all__ = ["inherit", "install"]

_MARK = "covalent_braket_budget"


def install(budget: Budget, directory: Path) -> None:
    """Have every botocore session that is made from now on keep a budget.

    So do those of processes that are forked, and of Python programs that are started with this
    environment: of multiprocessing's other ways to start, or by `subprocess`.

    Args:
        budget: What the quantum tasks may cost.
        directory: Where the manifest lies, and what was counted is kept.
    """
    _hook(Guard(budget, directory / LEDGER_FILE))
    for_others = directory / "budget-of-others"
    for_others.mkdir()
    (for_others / "sitecustomize.py").write_text(
        _SITE.format(
            here=str(for_others),
            packages=str(Path(__file__).parent.parent),
            directory=str(directory),
        )
    )
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join([str(for_others), *([before] if before else [])])


# What Python runs when it starts. Another sitecustomize behind this one is run as well, but after:
# whatever goes wrong in it, the budget is kept.
_SITE = """import sys

sys.path.remove({here!r})
sys.path.insert(0, {packages!r})
from covalent_braket_plugin import budget_hooks

sys.path.remove({packages!r})
budget_hooks.inherit({directory!r})
this = sys.modules.pop("sitecustomize")
try:
    import sitecustomize
except ImportError:
    pass
sys.modules["sitecustomize"] = this
"""


def inherit(directory: str) -> None:
    """Keep the budget of the electron that started this program.

    Args:
        directory: Where the electron's manifest lies.
    """
    manifest = Manifest.from_json(Path(directory, "manifest.json").read_bytes())
    if manifest.budget is not None:
        _hook(Guard(manifest.budget, Path(directory, LEDGER_FILE)))


def _hook(guard: Guard) -> None:
    known = sys.modules.get("botocore.handlers")
    if known is None:
        sys.meta_path.insert(0, _OnImport(guard))
    else:
        known.__dict__["BUILTIN_HANDLERS"] += _handlers(guard)


class _OnImport(MetaPathFinder):
    """Hooks botocore when it is imported: an electron that does not need it does not wait for it.

    Args:
        guard: What every new session shall ask.
    """

    def __init__(self, guard: Guard) -> None:
        self._guard = guard

    def find_spec(self, name: str, path: object, target: object = None) -> ModuleSpec | None:
        """Find botocore's handlers, and add ours to what every session registers for itself."""
        if name != "botocore.handlers":
            return None
        sys.meta_path.remove(self)
        spec = find_spec(name)
        if spec is None or spec.loader is None:
            return None
        loader: Any = spec.loader
        run: Callable[[ModuleType], None] = loader.exec_module

        def exec_module(module: ModuleType) -> None:
            run(module)
            module.__dict__["BUILTIN_HANDLERS"] += _handlers(self._guard)

        loader.exec_module = exec_module
        return spec


def _handlers(guard: Guard) -> list[tuple[str, Any]]:
    return [
        ("before-call.braket.CreateQuantumTask", _before(guard)),
        ("after-call.braket.CreateQuantumTask", _after(guard)),
        ("after-call.braket.GetQuantumTask", _seen(guard)),
    ]


def _before(guard: Guard) -> Any:
    def before(params: dict[str, Any], context: dict[str, Any], **ignored: object) -> None:
        region = str(context.get("client_region", ""))
        context[_MARK] = guard.reserve(json.loads(params["body"]), region)

    return before


def _after(guard: Guard) -> Any:
    def after(
        http_response: Any, parsed: dict[str, Any], context: dict[str, Any], **ignored: object
    ) -> None:
        key = context.get(_MARK)
        if key is None:
            return
        if http_response.status_code < 300:
            guard.made(key, str(parsed.get("quantumTaskArn", "")))
        elif http_response.status_code < 500:  # after a fault it may have been made all the same
            guard.give_back(key)

    return after


def _seen(guard: Guard) -> Any:
    def seen(parsed: dict[str, Any], **ignored: object) -> None:
        status, began, ended = (parsed.get(key) for key in ("status", "createdAt", "endedAt"))
        if status == "COMPLETED" and began and ended:
            guard.settle(parsed["quantumTaskArn"], status, (ended - began).total_seconds())
        elif status in FREE:
            guard.settle(parsed["quantumTaskArn"], str(status), 0.0)

    return seen
