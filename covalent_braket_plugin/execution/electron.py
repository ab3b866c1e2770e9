"""The electron that runs a program on its device, inside the job."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from covalent_braket_plugin.execution.programs import Program

__all__ = ["runner"]


def runner(label: str, program: Program, shots: int, transpile: bool) -> Callable[[str], Any]:
    """Make the function of an electron, named by its device.

    It is pickled whole, for this room is not in the job, and imports where it runs.

    Args:
        label: The device, as users read it.
        program: What it runs.
        shots: How often.
        transpile: Whether QPUs may rewrite the program for their qubits and gates.
    """
    as_written, bits = ("" if transpile else program.verbatim), list(program.measured)

    def run(source: str) -> dict[str, Any]:
        from braket.ir.openqasm import Program as OpenQasm

        from covalent_braket_plugin import job

        device = job.current_device()
        # Simulators have no qubits to choose among, and no gates that they must be given.
        on_qpu = str(getattr(getattr(device, "type", ""), "value", "")) == "QPU"
        source = as_written if on_qpu and as_written else source
        boxed = on_qpu and "braket verbatim" in source
        options = {"disable_qubit_rewiring": True} if boxed else {}
        task = device.run(OpenQasm(source=source), shots=shots, **options)
        result = task.result()
        if result is None:
            why = task.metadata()
            raise job.QuantumTaskError(str(task.id), why["status"], why.get("failureReason") or "")
        counts = result.measurement_counts or {} if shots else {}
        measured = [int(qubit) for qubit in result.measured_qubits or ()]
        if sorted(measured) == sorted(bits):  # else the device named its own: left as they are
            places = [measured.index(qubit) for qubit in bits]
            counts = {"".join(state[at] for at in places): n for state, n in counts.items()}
        values = []
        for each in result.result_types or ():
            kind = each.type
            word = str(getattr(kind.type, "value", kind.type))
            of = "@".join(map(str, getattr(kind, "observable", None) or ()))
            on = ",".join(map(str, getattr(kind, "targets", None) or ()))
            value = each.value.tolist() if hasattr(each.value, "tolist") else each.value
            values.append([f"{word} {of}({on})" if of or on else word, value])
        return {
            "backend": label,
            "device": job.context().device_arn,
            "quantum_task": str(task.id),
            "shots": shots,
            "counts": {} if values else {state: int(n) for state, n in counts.items()},
            "values": values,
        }

    run.__name__ = run.__qualname__ = label
    return run
