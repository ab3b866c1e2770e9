"""Is what is installed fit to run together, and does Covalent know the plugin?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib import metadata

from packaging.requirements import Requirement

from covalent_braket_plugin.doctor.exam import Exam
from covalent_braket_plugin.doctor.findings import Result, failed, ok, unknown

__all__ = ["compare", "covalent", "plugin", "registered"]

DISTRIBUTION = "covalent-braket-plugin"
GROUP = "covalent.executor.executor_plugins"
NAME, MODULE = "braket", "covalent_braket_plugin.braket"
SHOWN = ("covalent", "fastapi", "starlette", "cloudpickle", "boto3")


def covalent(_exam: Exam) -> Result:
    """Compare what is installed with what this package needs."""
    try:
        needed = metadata.requires(DISTRIBUTION) or []
    except metadata.PackageNotFoundError:
        return unknown(
            f"{DISTRIBUTION} runs from a directory and is not installed, so its needs are unknown",
            f"Install it: pip install {DISTRIBUTION}",
        )
    wanted = [each for each in map(Requirement, needed) if _applies(each)]
    return compare(wanted, {each.name: _version(each.name) for each in wanted})


def _applies(requirement: Requirement) -> bool:
    return requirement.marker is None or requirement.marker.evaluate({"extra": ""})


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def compare(wanted: Iterable[Requirement], installed: Mapping[str, str | None]) -> Result:
    """Compare versions with bounds.

    Args:
        wanted: What is needed.
        installed: Version of each package; None if it is not there.
    """
    wrong = [each for each in wanted if not _fits(each, installed.get(each.name))]
    if wrong:
        found = "; ".join(_said(each, installed.get(each.name)) for each in wrong)
        fix = " ".join(f'"{each.name}{each.specifier}"' for each in wrong)
        return failed(found, f"pip install {fix}")
    return ok(", ".join(f"{name} {installed[name]}" for name in SHOWN if installed.get(name)))


def _fits(requirement: Requirement, version: str | None) -> bool:
    return version is not None and requirement.specifier.contains(version, prereleases=True)


def _said(requirement: Requirement, version: str | None) -> str:
    if version is None:
        return f"{requirement.name} is not installed"
    return f"{requirement.name} {version} is installed, {requirement.specifier} works"


def plugin(_exam: Exam) -> Result:
    """See whether Covalent finds the plugin, as its server will."""
    points = {each.name: each.value for each in metadata.entry_points(group=GROUP)}
    try:
        from covalent.executor import _executor_manager
    except Exception as error:  # it reads its configuration file when it is imported, for one
        return failed(
            f"Covalent cannot be imported: {type(error).__name__}: {error}",
            "Mend its configuration file (see settings below), or: python -c 'import covalent'",
        )
    return registered(points, set(_executor_manager.executor_plugins_map))


def registered(points: Mapping[str, str], known: Iterable[str]) -> Result:
    """Judge what Covalent would find.

    Args:
        points: The entry points of executor plugins, by name.
        known: The executors that Covalent has loaded, by name.
    """
    if points.get(NAME) != MODULE:
        other = f"it is {points[NAME]}" if NAME in points else "there is none"
        return failed(
            f"the entry point {NAME!r} of Covalent's plugins is not ours: {other}",
            f"Reinstall: pip install --force-reinstall --no-deps {DISTRIBUTION}",
        )
    if NAME not in known:
        return failed(
            f"Covalent does not know the executor {NAME!r} although it is installed",
            f"See why it cannot be loaded: python -c 'import {MODULE}'",
        )
    return ok(f'executor="{NAME}" is known to Covalent')
