"""From the files that Covalent stages to what the container gets: a payload and its manifest.

Covalent copies, for each electron of a task group, ``function`` (``.tobj``), ``hooks`` (JSON) and
the outputs of the nodes it needs (``.tobj``). Here they are read without unpickling anything: the
headers say what the functions are and which versions pickled them, the pickles are copied as a
stream into one payload.

Covalent also makes little electrons of its own on the user's executor (`is_glue`): unpacking,
indexing, attribute access, lists and dictionaries as arguments, arithmetic, building a
sublattice, assembling a workflow's result. Their function's text form tells them apart.
"""

from __future__ import annotations

import binascii
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from covalent_braket_plugin import tobj
from covalent_braket_plugin.errors import IntegrityError
from covalent_braket_plugin.payload import PayloadWriter
from covalent_braket_plugin.protocol import (
    Budget,
    Call,
    Manifest,
    Mismatch,
    Versions,
    mismatches,
)

__all__ = ["Electron", "Group", "build", "check_versions", "is_glue", "read_group"]

_GLUE = re.compile(
    r"<(?:function|bound method) (?:"
    r"Electron\.(?:__iter__|__getitem__)\.<locals>\.get_item"
    r"|Electron\.__getattr__\.<locals>\.get_attr"
    r"|Electron\.get_op_function\.<locals>\.func_for_op"
    r"|Electron\.connect_node_with_others\.<locals>\._auto_(?:list|dict)_node"
    r"|_build_sublattice_graph"
    r"|Postprocessor\._postprocess(?:_recursively)?"
    r")[ >]"
)
_SUBLATTICE_BUILDER = "<function _build_sublattice_graph "
_COVALENTS_OWN_STEPS = ("apply_bash_commands", "apply_pip_deps")


@dataclass(frozen=True)
class Electron:
    """One electron of a task group, as files.

    Attributes:
        node_id: The graph node.
        args: Node ids of the positional arguments.
        kwargs: Node ids of the keyword arguments.
        function: File of the pickled function.
        hooks: File of the hooks; None if there are none.
        header: What the function's file says about it.
    """

    node_id: int
    args: Sequence[int]
    kwargs: Mapping[str, int]
    function: Path
    hooks: Path | None
    header: tobj.Header

    @property
    def glue(self) -> bool:
        """Whether Covalent made this electron, not the user."""
        return is_glue(self.header)

    @property
    def name(self) -> str:
        """Function name for people."""
        return self.header.name.strip(":") or "electron"


@dataclass(frozen=True)
class Group:
    """Electrons that Covalent sends together, in order.

    Attributes:
        dispatch_id: The dispatch's UUID.
        electrons: At least one.
        inputs: Files of the outputs of nodes outside the group.
        names: Gives the names of a node's positional arguments, as far as they are known; it may
            ask Covalent's database.
    """

    dispatch_id: str
    electrons: Sequence[Electron]
    inputs: Mapping[int, Path] = field(default_factory=dict)
    names: Callable[[int], Sequence[str]] = lambda node_id: ()

    @property
    def main(self) -> Electron:
        """The user's own electron; the first one if all are Covalent's."""
        return next((one for one in self.electrons if not one.glue), self.electrons[0])

    @property
    def glue(self) -> bool:
        """Whether no electron of the group is the user's own."""
        return all(electron.glue for electron in self.electrons)

    @property
    def versions(self) -> Versions:
        """What pickled the main electron."""
        return self.main.header.versions


def is_glue(header: tobj.Header) -> bool:
    """Whether a function is one of Covalent's own little electrons (0.240.0).

    Sources: ``covalent/_workflow/electron.py`` and ``postprocessing.py``.
    """
    return _GLUE.match(header.text_head) is not None


def read_group(
    dispatch_id: str,
    specs: Iterable[tuple[int, Sequence[int], Mapping[str, int]]],
    functions: Mapping[int, Path],
    hooks: Mapping[int, Path],
    inputs: Mapping[int, Path],
    names: Callable[[int], Sequence[str]] = lambda node_id: (),
) -> Group:
    """Read the headers of a staged task group.

    Args:
        dispatch_id: The dispatch's UUID.
        specs: Node id, positional and keyword arguments of each electron, in order.
        functions: File of each electron's function.
        hooks: File of each electron's hooks.
        inputs: Files of the outputs of nodes outside the group.
        names: Gives the names of a node's positional arguments.

    Raises:
        IntegrityError: A file is not what it should be.
    """
    electrons = [
        Electron(
            node_id, args, kwargs, functions[node_id], hooks.get(node_id),
            tobj.read_header(functions[node_id]),
        )
        for node_id, args, kwargs in specs
    ]  # fmt: skip
    if not electrons:
        raise IntegrityError("Covalent sent a task group without electrons")
    return Group(dispatch_id, electrons, inputs, names)


def build(
    group: Group,
    payload_path: Path,
    *,
    strict_versions: bool = True,
    strict_python: bool = True,
    kms_key_id: str = "",
    budget: Budget | None = None,
) -> Manifest:
    """Write a group's payload.

    Args:
        group: What to pack.
        payload_path: The file to write.
        strict_versions: Whether another cloudpickle is an error in the container.
        strict_python: Whether another minor version of Python is.
        kms_key_id: Key for what the worker stores.
        budget: What the quantum tasks may cost; None: there is no limit.

    Returns:
        The manifest that describes and verifies the payload.

    Raises:
        IntegrityError: A staged file is damaged.
    """
    with PayloadWriter(payload_path) as writer:
        packer = _Packer(group, writer)
        calls = [packer.call(electron) for electron in group.electrons]
    return Manifest(
        dispatch_id=group.dispatch_id,
        versions=group.versions,
        payload_sha256=writer.sha256,
        payload_size=writer.size,
        parts=writer.parts,
        calls=calls,
        main_node=group.main.node_id,
        strict_versions=strict_versions,
        strict_python=strict_python,
        kms_key_id=kms_key_id,
        budget=budget,
    )


def check_versions(group: Group, here: Versions) -> list[Mismatch]:
    """Say which functions and inputs of a group cannot be loaded, and why.

    Args:
        group: What is to run.
        here: What would load it.

    Raises:
        IntegrityError: A staged file is damaged.
    """
    pickles = [(f"{one.name}()", one.header) for one in group.electrons]
    for node_id, path in group.inputs.items():
        pickles.append((f"the input that node {node_id} gives", tobj.read_header(path)))
    return [
        problem for what, header in pickles for problem in mismatches(header.versions, here, what)
    ]


class _Packer:
    """Turns electrons into calls, adding their pickles to a payload; each input goes in once."""

    def __init__(self, group: Group, writer: PayloadWriter) -> None:
        self._group = group
        self._writer = writer
        self._inputs: dict[int, int] = {}
        self._inside = {electron.node_id for electron in group.electrons}

    def call(self, electron: Electron) -> Call:
        name = electron.name
        chunks = tobj.pickle_chunks(electron.function)
        return Call(
            node_id=electron.node_id,
            name=name,
            function=self._writer.add(chunks, f"The function {name}()"),
            args=[self._argument(name, node) for node in electron.args],
            kwargs={key: self._argument(name, node) for key, node in electron.kwargs.items()},
            hooks=self._hooks(electron),
            whole_string=electron.header.text_head.startswith(_SUBLATTICE_BUILDER),
        )

    def _argument(self, name: str, node_id: int) -> dict[str, int]:
        if node_id in self._inside:
            return {"node": node_id}
        if node_id not in self._inputs:
            chunks = tobj.pickle_chunks(self._group.inputs[node_id])
            what = f"The input of {name}() that node {node_id} gives"
            self._inputs[node_id] = self._writer.add(chunks, what)
        return {"part": self._inputs[node_id]}

    def _hooks(self, electron: Electron) -> list[dict[str, Any]]:
        # Glue inherits the hooks of the electron beside it; they are that electron's, not its own.
        if electron.hooks is None or electron.glue:
            return []
        try:
            raw = json.loads(electron.hooks.read_text() or "{}")
        except ValueError as error:
            raise IntegrityError(f"The hooks of {electron.name}() are not JSON: {error}") from error
        deps = raw.get("deps") or {}
        hooks: list[dict[str, Any]] = []
        if "bash" in deps:
            hooks.append({"when": "before", "bash": deps["bash"]["attributes"]["commands"]})
        if "pip" in deps:
            pip = deps["pip"]["attributes"]
            wanted = {
                "packages": pip["packages"],
                "requirements": pip.get("requirements_content", ""),
            }
            hooks.append({"when": "before", "pip": wanted})
        for when in ("before", "after"):
            for hook in raw.get(f"call_{when}") or []:
                hooks.append(self._call_hook(when, hook["attributes"]))
        return hooks

    def _call_hook(self, when: str, attributes: Mapping[str, Any]) -> dict[str, Any]:
        parts = {}
        name = ""
        for key in ("function", "args", "kwargs"):
            pickled = attributes[f"apply_{key.replace('function', 'fn')}"]["attributes"]
            name = name or str(pickled["_header"]["attrs"].get("name") or "")
            data = binascii.a2b_base64(pickled["_object"])
            parts[key] = self._writer.add([data], f"The call_{when} step {name}() ({key})")
        hook: dict[str, Any] = {"when": when, "call": parts}
        if name in _COVALENTS_OWN_STEPS:
            hook["builtin"] = name
        if attributes.get("retval_keyword"):
            hook["keyword"] = attributes["retval_keyword"]
        return hook
