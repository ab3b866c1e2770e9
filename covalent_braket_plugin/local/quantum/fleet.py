"""The quantum devices that the local Braket offers, as data.

Names, ARNs, regions and shot limits are those of Amazon Braket (the SDK's ``braket.devices`` and
the "Amazon Braket quotas" page of the developer guide). All of them run on Braket's own default
simulators. The QPUs are noiseless stand-ins, and their capabilities say so. All are always open,
because nobody wants to wait for a simulated night. Execution windows can be set
(`/_local/devices`) and are shown; they do not hold tasks back.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["FLEET", "Device", "Status", "Window"]

Status = Literal["ONLINE", "OFFLINE", "RETIRED"]
SimulatorName = Literal["braket_sv", "braket_dm"]


@dataclass(frozen=True)
class Window:
    """When a device takes tasks.

    Attributes:
        day: ``Everyday``, ``Weekdays``, ``Weekend`` or a day's name.
        start: ``HH:MM:SS``, UTC.
        end: ``HH:MM:SS``, UTC.
    """

    day: str = "Everyday"
    start: str = "00:00:00"
    end: str = "23:59:59"


@dataclass(frozen=True)
class Device:
    """A quantum device.

    Attributes:
        arn: The device's ARN.
        name: The name that AWS shows.
        provider: The provider's name.
        is_qpu: Whether it stands for hardware.
        qubits: How many qubits it claims to have.
        shots: Smallest and largest number of shots of a task.
        schema: Name and version of the schema of its capabilities.
        simulator: The default simulator that its tasks run on.
        native_gates: Gates of the hardware; empty for simulators.
        windows: When it takes tasks.
        status: Whether it takes tasks at all.
    """

    arn: str
    name: str
    provider: str
    is_qpu: bool
    qubits: int
    shots: tuple[int, int]
    schema: tuple[str, str]
    simulator: SimulatorName = "braket_sv"
    native_gates: tuple[str, ...] = ()
    windows: tuple[Window, ...] = (Window(),)
    status: Status = "ONLINE"

    @property
    def region(self) -> str:
        """Region of the device; empty for the simulators, which are in many."""
        return self.arn.split(":")[3]

    @property
    def kind(self) -> str:
        """The service's word: ``QPU`` or ``SIMULATOR``."""
        return "QPU" if self.is_qpu else "SIMULATOR"


SIMULATOR_ARN = "arn:aws:braket:::device/quantum-simulator/amazon"
SIMULATOR_SCHEMA = ("simulators.gate_model_simulator_device_capabilities", "1")


def _simulator(
    key: str, name: str, qubits: int, simulator: SimulatorName, status: Status = "ONLINE"
) -> Device:
    return Device(
        arn=f"{SIMULATOR_ARN}/{key}",
        name=name,
        provider="Amazon Braket",
        is_qpu=False,
        qubits=qubits,
        shots=(0, 50_000),
        schema=SIMULATOR_SCHEMA,
        simulator=simulator,
        status=status,
    )


def _ionq(key: str, name: str) -> Device:
    return Device(
        arn=f"arn:aws:braket:us-east-1::device/qpu/ionq/{key}",
        name=name,
        provider="IonQ",
        is_qpu=True,
        qubits=36,
        shots=(100, 10_000),
        schema=("ionq.ionq_device_capabilities", "1"),
        native_gates=("GPI", "GPI2", "ZZ"),
    )


def _iqm(name: str, qubits: int) -> Device:
    return Device(
        arn=f"arn:aws:braket:eu-north-1::device/qpu/iqm/{name}",
        name=name,
        provider="IQM",
        is_qpu=True,
        qubits=qubits,
        shots=(1, 20_000),
        schema=("iqm.iqm_device_capabilities", "1"),
        native_gates=("cz", "prx"),
    )


CEPHEUS = Device(
    arn="arn:aws:braket:us-west-1::device/qpu/rigetti/Cepheus-1-108Q",
    name="Cepheus-1-108Q",
    provider="Rigetti",
    is_qpu=True,
    qubits=108,
    shots=(1, 50_000),
    schema=("rigetti.rigetti_device_capabilities", "2"),
    native_gates=("rx", "rz", "iswap"),
)

IBEX = Device(
    arn="arn:aws:braket:eu-north-1::device/qpu/aqt/Ibex-Q1",
    name="Ibex Q1",
    provider="AQT",
    is_qpu=True,
    qubits=12,
    shots=(1, 2_000),
    schema=("aqt.aqt_device_capabilities", "1"),
    native_gates=("prx", "rz", "xx"),
)

FLEET: tuple[Device, ...] = (
    _simulator("sv1", "SV1", 34, "braket_sv"),
    _simulator("dm1", "DM1", 17, "braket_dm"),
    _simulator("tn1", "TN1", 50, "braket_sv", "RETIRED"),
    _ionq("Forte-1", "Forte 1"),
    _ionq("Forte-Enterprise-1", "Forte Enterprise 1"),
    _iqm("Garnet", 20),
    _iqm("Emerald", 54),
    CEPHEUS,
    IBEX,
)
"""Every device, in the order in which SearchDevices answers."""
