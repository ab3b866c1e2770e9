"""`execute`: one program on up to five devices, a Covalent workflow with an electron for each."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from covalent_braket_plugin.devices.names import refuse_retired
from covalent_braket_plugin.errors import ProgramError, SettingError
from covalent_braket_plugin.execution.electron import runner
from covalent_braket_plugin.execution.programs import Program, program_of
from covalent_braket_plugin.execution.server import Server

if TYPE_CHECKING:
    from covalent_braket_plugin.braket import BraketExecutor
    from covalent_braket_plugin.execution.handle import ExecutionJob

__all__ = ["DEFAULT_SHOTS", "LOCAL_SIMULATOR", "MARK", "MOST_BACKENDS", "execute"]

MOST_BACKENDS = 5
DEFAULT_SHOTS = 1000
MOST_SHOTS = 1_000_000
"""No device of Braket takes so many; most take 20,000 to 50,000, IonQ's 100 at least."""
LOCAL_SIMULATOR = "local:braket/default"
MARK = "execute: "
"""How the workflow's name begins, by which executions are found; no function is named so."""
NAME_CHARACTERS = 100


def execute(
    program: object,
    backends: object | Sequence[object] | None = None,
    *,
    num_shots: int | None = None,
    job_name: str | None = None,
    transpile: bool = True,
    inputs: Mapping[str, float] | None = None,
    server: str | None = None,
    **settings: Any,
) -> ExecutionJob:
    """Run a program on up to five devices; returns at once.

    All is checked before anything is sent: the program, the backends and the settings.

    Args:
        program: OpenQASM 2 or 3, as text or a file; a Braket ``Circuit``; a PennyLane tape, or a
            QNode (``functools.partial`` binds its arguments); a file that Classiq's SDK saved.
        backends: Devices: names (``"SV1"``, ``"Garnet"``), ARNs, ``braket.devices.Devices.*``,
            ``"local:braket/default"``, or a `BraketExecutor` each, whose settings then hold.
            None: Braket's local simulator on the local Braket, without any credentials.
        num_shots: How often each device runs it (default 1000). 0: exact values on simulators,
            for a program that asks for results such as an expectation.
        job_name: What it is called (default: the program's file or function).
        transpile: False: QPUs run it as written, in a verbatim box, without choosing other qubits
            or gates; simulators have neither and run it as it is.
        inputs: Values of the program's parameters.
        server: URL of Covalent's server (default: as Covalent is configured).
        **settings: For executors made here: `BraketExecutor`'s, such as ``max_cost=5``.

    Raises:
        ProgramError: The program cannot be run.
        SettingError: Something else makes no sense.
        NoServerError: Covalent's server does not answer.
    """
    from covalent_braket_plugin.execution.handle import ExecutionJob

    read = program_of(program, inputs)
    shots = _shots(num_shots, read)
    name = _name(job_name, read)
    chosen = _executors(backends, settings)
    if not transpile and not read.verbatim:
        raise ProgramError(
            "With transpile=False it is run in a verbatim box, of which only bits are measured: "
            "the results that it asks for cannot be had."
        )
    asked = Server(server)
    asked.require()
    return ExecutionJob(_dispatch(read, chosen, shots, name, transpile, asked.url), asked.url)


def _dispatch(
    program: Program,
    executors: Mapping[str, BraketExecutor],
    shots: int,
    name: str,
    transpile: bool,
    url: str,
) -> str:
    """Send the workflow; returns its dispatch id."""
    import covalent as ct

    electrons = [
        ct.electron(runner(label, program, shots, transpile), executor=executor)
        for label, executor in executors.items()
    ]

    def workflow(source: str) -> None:
        for each in electrons:
            each(source)

    workflow.__name__ = f"{MARK}{name}"
    return str(ct.dispatch(ct.lattice(workflow), dispatcher_addr=url)(program.source))


def _shots(given: int | None, program: Program) -> int:
    shots = DEFAULT_SHOTS if given is None else given
    if isinstance(shots, bool) or not isinstance(shots, int) or not 0 <= shots <= MOST_SHOTS:
        rule = f"it must be a whole number, 0 to {MOST_SHOTS}"
        raise SettingError("num_shots", given, rule, f"Leave it out for {DEFAULT_SHOTS}.")
    if shots == 0 and program.measured:
        rule = "a program that measures bits has to be run at least once"
        fix = "Give 1 or more, or have the program ask for results such as an expectation."
        raise SettingError("num_shots", 0, rule, fix)
    return shots


def _name(given: str | None, program: Program) -> str:
    from covalent_braket_plugin.settings.rules import tag_character

    name = (given if given is not None else program.name or "program").strip()
    if given is None:
        name = "".join(each if tag_character(each) else "-" for each in name)[:NAME_CHARACTERS]
    if not 0 < len(name) <= NAME_CHARACTERS or not all(map(tag_character, name)):
        rule = f"it has 1 to {NAME_CHARACTERS} letters, digits, spaces and _.:/=+-@"
        raise SettingError("job_name", given, rule, "Leave other characters out.")
    return name


def _executors(backends: Any, settings: Mapping[str, Any]) -> dict[str, BraketExecutor]:
    """Make an executor for each backend, under the name by which users tell it.

    Raises:
        SettingError: There are too many, or one is there twice, or it is no backend.
    """
    if backends is None:
        made = _executor(LOCAL_SIMULATOR, {"local": True, **settings})
        return {_label(LOCAL_SIMULATOR): made}
    several = isinstance(backends, Sequence) and not isinstance(backends, str)
    listed = list(backends) if several else [backends]
    if not 1 <= len(listed) <= MOST_BACKENDS:
        rule = f"a program is run on 1 to {MOST_BACKENDS} backends at a time, not {len(listed)}"
        fix = "Run it in parts." if listed else "Leave it out: a local simulator."
        raise SettingError("backends", [_label(each) for each in listed], rule, fix)
    found: dict[str, BraketExecutor] = {}
    for each in listed:
        label = _label(each)
        twice = next((other for other in found if _same(label, other)), None)
        if twice is not None:
            rule = f"{twice} is there twice"
            raise SettingError("backends", label, rule, "Name each device once.")
        found[label] = _executor(each, settings)
    return found


def _executor(backend: Any, settings: Mapping[str, Any]) -> BraketExecutor:
    from covalent_braket_plugin.braket import BraketExecutor

    if not isinstance(backend, BraketExecutor):
        return BraketExecutor(**{**settings, "quantum_device": _text(backend)})
    if settings:
        rule = "a BraketExecutor has its settings already"
        fix = "Give them to BraketExecutor(...), or name the device instead."
        raise SettingError("settings", ", ".join(settings), rule, fix)
    return backend


def _same(one: str, other: str) -> bool:
    """Whether two labels are of one device: a provider may stand before its name."""
    plain = sorted((re.sub("[^a-z0-9]", "", each.lower()) for each in (one, other)), key=len)
    return plain[1].endswith(plain[0])


def _text(backend: Any) -> str:
    """Write a backend as the setting `quantum_device` takes it; enumerations have a value.

    Raises:
        SettingError: It is none, or is retired.
    """
    text = getattr(backend, "value", getattr(backend, "arn", backend))
    if not isinstance(text, str) or not text.strip():
        rule = "a backend is a device's name or ARN, one of Devices, or a BraketExecutor"
        raise SettingError("backends", backend, rule, "See: covalent-braket devices")
    text = text.strip()
    if text.startswith("local:") and not text.startswith("local:braket/"):
        rule = "programs are run on Braket's simulators only, where a job has no device"
        raise SettingError("backends", text, rule, f"Use {LOCAL_SIMULATOR}.")
    refuse_retired("backends", text)
    return text


def _label(backend: Any) -> str:
    """Name a backend shortly: what stands last in an ARN, and in capitals if it is a simulator."""
    from covalent_braket_plugin.braket import BraketExecutor

    device = backend
    if isinstance(backend, BraketExecutor):
        device = getattr(backend, "quantum_device", None) or "SV1"
    text = _text(device)
    if text.startswith("local:"):
        text = f"local-{text.rpartition('/')[2]}"
    text = re.sub(r"[^A-Za-z0-9]+", "-", text.rpartition("/")[2]).strip("-")
    return text.upper() if text.lower() in ("sv1", "dm1") else text
