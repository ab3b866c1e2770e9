"""What GetDevice says a device can do, after what the default simulators say of themselves.

The simulators' own document is a valid payload, but not a faithful one: it advertises program
sets and the old JAQCD action, which SV1 and DM1 do not take, and lacks the adjoint gradient,
which SV1 has. QPUs keep program sets, since all gate-based QPUs of Braket take them.
"""

from __future__ import annotations

from typing import Any

from covalent_braket_plugin.local.quantum.fleet import Device, Window

__all__ = ["EXACT_QUBITS_NOTE", "OPENQASM", "PROGRAM_SET", "capabilities"]

OPENQASM = "braket.ir.openqasm.program"
PROGRAM_SET = "braket.ir.openqasm.program_set"

POLL_MILLISECONDS = 50
"""Suggested to clients; results here are there within milliseconds."""

EXACT_RESULT_TYPES = frozenset({"StateVector", "DensityMatrix", "Amplitude"})
ADJOINT_PRAGMA = "braket_result_type_adjoint_gradient"
SIMULATORS_ONLY = frozenset({"U", "GPhase", "unitary"})

LOCATION = "local Braket (simulated)"
EXACT_QUBITS_NOTE = "circuits of at most {limit} qubits can be simulated here"

Document = dict[str, Any]


def capabilities(device: Device, base: Document) -> Document:
    """Build the capabilities document of a device.

    Args:
        device: The device.
        base: The ``properties`` of the default simulator that it runs on, as JSON data.

    Returns:
        A document that the SDK's schema for the device accepts.
    """
    name, version = device.schema
    document: Document = {
        "braketSchemaHeader": {"name": f"braket.device_schema.{name}", "version": version},
        "service": _service(device, base),
        "action": _actions(device, base["action"]),
        "paradigm": _paradigm(device, base["paradigm"]),
        "deviceParameters": base["deviceParameters"],
    }
    if "aqt" in name:
        document |= _aqt_members()
    return document


def _service(device: Device, base: Document) -> Document:
    note = EXACT_QUBITS_NOTE.format(limit=base["paradigm"]["qubitCount"])
    summary = f"Simulated by the local Braket on {device.simulator}, without noise; {note}."
    return {
        "braketSchemaHeader": base["service"]["braketSchemaHeader"],
        "executionWindows": [_window(window) for window in device.windows],
        "shotsRange": list(device.shots),
        "deviceDocumentation": {"summary": summary},
        "deviceLocation": LOCATION,
        "getTaskPollIntervalMillis": POLL_MILLISECONDS,
    }


def _window(window: Window) -> Document:
    return {
        "executionDay": window.day,
        "windowStartHour": window.start,
        "windowEndHour": window.end,
    }


def _actions(device: Device, base: Document) -> Document:
    if not device.is_qpu:
        return {OPENQASM: _simulator_openqasm(device, base[OPENQASM])}
    return {OPENQASM: _qpu_openqasm(device, base[OPENQASM]), PROGRAM_SET: base[PROGRAM_SET]}


def _simulator_openqasm(device: Device, base: Document) -> Document:
    results = [_with_shots(result, device.shots[1]) for result in base["supportedResultTypes"]]
    action = {**base, "supportedResultTypes": results}
    if device.simulator == "braket_sv":
        gradient = {"name": "AdjointGradient", "minShots": 0, "maxShots": 0}
        results.append(gradient | {"observables": _observables(results)})
        action["supportedPragmas"] = [*base["supportedPragmas"], ADJOINT_PRAGMA]
        forbidden = base["forbiddenPragmas"]
        action["forbiddenPragmas"] = [name for name in forbidden if name != ADJOINT_PRAGMA]
    return action


def _qpu_openqasm(device: Device, base: Document) -> Document:
    results = [
        {**_with_shots(result, device.shots[1]), "minShots": 1}
        for result in base["supportedResultTypes"]
        if result["name"] not in EXACT_RESULT_TYPES
    ]
    operations = [gate for gate in base["supportedOperations"] if gate not in SIMULATORS_ONLY]
    pragmas = [name for name in base["supportedPragmas"] if name.startswith("braket_result")]
    return {
        **base,
        "supportedOperations": operations,
        "supportedModifiers": [],
        "supportedPragmas": ["verbatim", *pragmas],
        "forbiddenPragmas": [],
        "supportedResultTypes": results,
        "supportPhysicalQubits": True,
        "disabledQubitRewiringSupported": True,
    }


def _with_shots(result: Document, most: int) -> Document:
    return {**result, "maxShots": min(result["maxShots"], most)}


def _observables(results: list[Document]) -> list[str]:
    found: list[str] = next(item["observables"] for item in results if item.get("observables"))
    return found


def _paradigm(device: Device, base: Document) -> Document:
    if not device.is_qpu:
        return {**base, "qubitCount": device.qubits}
    return {
        "braketSchemaHeader": {
            "name": "braket.device_schema.gate_model_qpu_paradigm_properties",
            "version": "1",
        },
        "qubitCount": device.qubits,
        "nativeGateSet": list(device.native_gates),
        # A state vector connects every qubit with every other.
        "connectivity": {"fullyConnected": True, "connectivityGraph": {}},
    }


def _aqt_members() -> Document:
    """Members that only AQT's schema requires; the figures of an ideal machine."""
    perfect = {"value": 100.0, "uncertainty": 0.0}
    endless = {"value": 1e9, "uncertainty": 0.0}
    provider = {
        "braketSchemaHeader": {
            "name": "braket.device_schema.aqt.aqt_provider_properties",
            "version": "1",
        },
        "properties": {
            "single_qubit_gate_fidelity": {},
            "mean_two_qubit_gate_fidelity": perfect,
            "spam_fidelity_lower_bound": 100.0,
            "t2_coherence_time_s": endless,
            "t1_s": endless,
            "readout_time_micros": 0.0,
            "single_qubit_gate_duration_micros": 0.0,
            "two_qubit_gate_duration_micros": 0.0,
            "updated_at": "2026-01-01T00:00:00Z",
        },
    }
    standardized = {
        "braketSchemaHeader": {
            "name": "braket.device_schema.standardized_gate_model_qpu_device_properties",
            "version": "3",
        }
    }
    return {"provider": provider, "standardized": standardized}
