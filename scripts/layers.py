"""Check who imports whom: the rooms of the package and what each may use.

    python scripts/layers.py [DIRECTORY OF THE PACKAGE]

`ROOMS` is the one place where the layers are written down; CONTRIBUTING.md says why they are as
they are. Imports are read from the source, also those inside functions, so nothing is imported.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PACKAGE = "covalent_braket_plugin"
ANYTHING = frozenset({"*"})


@dataclass(frozen=True)
class Room:
    """What a module (or a folder of modules) may import.

    Attributes:
        ours: Rooms of this package; ``*`` stands for any.
        others: Packages of others, beside the standard library; ``*`` stands for any.
    """

    ours: frozenset[str] = frozenset()
    others: frozenset[str] = frozenset()


def room(ours: str = "", others: str = "") -> Room:
    """Write a room down in words separated by blanks."""
    return Room(frozenset(ours.split()), frozenset(others.split()))


ROOMS = {
    # What the container needs. It holds boto3 and cloudpickle, and nothing else of ours. These are
    # the modules that `bundle` packs; a test compares the two.
    "__init__": room(),
    "errors": room(),
    "records": room("errors"),
    "protocol": room("errors protocol records"),
    "tobj": room("errors protocol"),
    "payload": room("errors protocol tobj", "cloudpickle"),
    "steps": room(),
    "budget": room("errors protocol"),
    "budget_hooks": room("budget protocol"),
    "runtime": room("budget budget_hooks errors job protocol tobj payload steps", "cloudpickle"),
    "descendants": room(),
    "supervisor": room("job protocol runtime descendants"),
    "opt_ml": room("errors protocol"),
    "worker": room(
        "__init__ budget errors job protocol payload runtime supervisor opt_ml", "boto3 botocore"
    ),
    "job": room("job errors", "braket botocore cloudpickle numpy pennylane"),
    "job_start": room(),
    # What the dispatcher needs.
    "bundle": room(),
    "settings": room("errors job"),
    "permissions": room(),
    "request": room("bundle descriptions errors job protocol settings"),
    "scopes": room("permissions request settings"),
    "local_endpoint": room("errors"),
    "aws": room("__init__ errors settings", "boto3 botocore urllib3"),
    "engine": room("errors", "docker requests"),
    "image_build": room("__init__ bundle engine errors protocol", "docker"),
    "image_push": room("aws engine errors", "docker"),
    "descriptions": room("protocol"),
    "jobs": room("errors descriptions aws"),
    "storage": room("errors protocol aws", "s3transfer"),
    "inputs": room("errors aws protocol remembered storage", "s3transfer"),
    # What can be seen of jobs while they run, and what they cost.
    "monitoring": room(
        "costs errors aws descriptions jobs pace monitoring threads", "pandas matplotlib plotext"
    ),
    "costs": room("aws budget errors protocol descriptions settings costs", "urllib3"),
    "pace": room(),
    "quotas": room("aws pace"),
    "durations": room(),
    "watches": room("durations"),
    "watcher": room("errors durations pace watches"),
    "turns": room(),
    "slots": room("quotas"),
    "telling": room("slots turns"),
    "scheduler": room("errors pace quotas slots telling turns"),
    "patience": room("errors", "tenacity"),
    # Devices by name, whether they can be used now, and which one an electron gets.
    "devices": room("aws devices errors pace remembered settings"),
    "packing": room("errors protocol tobj payload"),
    "arguments": room("errors packing settings tobj"),
    "remembered": room(),
    "roles": room("errors settings permissions aws remembered request"),
    "images": room("errors protocol payload settings permissions aws remembered"),
    "preflight": room("errors protocol settings aws images packing"),
    "failure": room("errors protocol descriptions failure permissions"),
    "glue": room("errors protocol runtime"),
    "pipeline": room(
        "arguments bundle costs devices errors job protocol payload runtime settings request"
        " local_endpoint aws jobs storage packing roles preflight inputs"
    ),
    "collecting": room("errors protocol runtime descriptions failure glue monitoring pipeline"),
    # What meets Covalent.
    "threads": room(),
    "covalent_compat": room(
        "errors payload tobj deploy settings failure monitoring threads",
        "covalent covalent_dispatcher covalent_ui pydantic sqlalchemy starlette",
    ),
    "node_log": room("covalent_compat devices monitoring scheduler threads", "covalent_dispatcher"),
    "exchange": room("errors packing collecting covalent_compat", "covalent"),
    "direct": room("errors payload packing collecting", "covalent"),
    "staging": room("threads"),
    "shared": room("aws descriptions devices glue monitoring quotas scheduler threads watcher"),
    "asking": room("errors descriptions devices pipeline"),
    "cancelling": room("errors asking descriptions jobs patience pipeline shared threads"),
    "on_device": room("asking devices errors node_log patience pipeline protocol shared threads"),
    "lifecycle": room(
        "devices errors inputs local_endpoint descriptions monitoring node_log on_device packing"
        " patience pipeline protocol scheduler shared staging threads asking cancelling"
    ),
    "kept": room("collecting"),
    "attempts": room(
        "costs errors asking collecting descriptions kept lifecycle monitoring node_log on_device"
        " patience pipeline protocol shared threads"
    ),
    "reattach": room(
        "covalent_compat descriptions errors monitoring patience pipeline settings shared threads"
    ),
    "braket": room(
        "devices failure protocol settings packing pipeline collecting threads exchange direct"
        " shared staging asking cancelling lifecycle attempts monitoring node_log covalent_compat"
        " reattach deploy",
        "covalent",
    ),
    "doctor": room(
        "costs devices errors inputs protocol settings aws jobs storage quotas slots permissions"
        " scopes"
        " braket images roles",
        "cloudpickle covalent packaging",
    ),
    # What became of jobs, asked of the service; Covalent's records only for values.
    "history": room(
        "devices errors job protocol tobj payload settings aws local_endpoint descriptions jobs"
        " storage failure pipeline collecting monitoring costs cancelling covalent_compat patience",
        "cloudpickle numpy pandas",
    ),
    # One program on several devices, as a workflow.
    "execution": room(
        "braket descriptions devices errors execution history job monitoring settings",
        "braket covalent matplotlib pandas pennylane plotext",
    ),
    # What makes the resources on AWS; Terraform is a program of its own.
    "deploy": room("errors settings aws local_endpoint deploy", "botocore pydantic"),
    # The emulator is not part of the rest: it knows our errors, and the rest does not know it.
    "local": room("__init__ engine errors local", "*"),
    "cli": room("*", "*"),
}


@dataclass(frozen=True)
class Import:
    """One import statement: where it stands and what it names."""

    path: Path
    line: int
    name: str


def imports_of(path: Path, module: str) -> Iterator[Import]:
    """Yield the full names that the file imports; ``from a import b`` names ``a.b``."""
    is_package = path.name == "__init__.py"
    for node in ast.walk(ast.parse(path.read_text(), str(path))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(path, node.lineno, alias.name)
        elif isinstance(node, ast.ImportFrom):
            base = _absolute(node, module, is_package)
            for alias in node.names:
                yield Import(path, node.lineno, f"{base}.{alias.name}")


def _absolute(node: ast.ImportFrom, module: str, is_package: bool) -> str:
    if not node.level:
        return node.module or ""
    parents = module.split(".")
    kept = parents[: len(parents) - node.level + is_package]
    return ".".join([*kept, node.module] if node.module else kept)


def violations(package_dir: Path) -> list[str]:
    """Say, a line each, which imports of the package's files break the table.

    Args:
        package_dir: The package's folder.
    """
    found: list[str] = []
    for path in sorted(package_dir.rglob("*.py")):
        parts = path.relative_to(package_dir).with_suffix("").parts
        if parts[0] not in ROOMS:
            found.append(f"{path}:1: the room {parts[0]!r} is not in ROOMS of layers.py")
            continue
        names = [part for part in parts if part != "__init__"]
        module = ".".join([PACKAGE, *names])
        found += [
            f"{each.path}:{each.line}: {parts[0]!r} may not import {each.name}"
            for each in imports_of(path, module)
            if not _allowed(ROOMS[parts[0]], parts[0], each.name, package_dir)
        ]
    return found


def _allowed(here: Room, own: str, name: str, package_dir: Path) -> bool:
    top, _, rest = name.partition(".")
    if top in sys.stdlib_module_names:
        return True
    if top != PACKAGE:
        return top in here.others or here.others == ANYTHING
    target = rest.split(".")[0]
    if not _is_room(package_dir, target):
        target = "__init__"
    return target == own or target in here.ours or here.ours == ANYTHING


def _is_room(package_dir: Path, name: str) -> bool:
    return bool(name) and ((package_dir / name).is_dir() or (package_dir / f"{name}.py").exists())


def main(arguments: list[str]) -> int:
    """Check the package; print what breaks the layers; return the exit code."""
    default = Path(__file__).parent.parent / PACKAGE
    found = violations(Path(arguments[0]) if arguments else default)
    for line in found:
        print(line)
    print(f"layers: {len(found)} violations" if found else "layers: fine")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
