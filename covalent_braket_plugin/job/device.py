"""The quantum device of a job, and others, as objects of the Braket SDK or of PennyLane."""

from __future__ import annotations

from typing import Any

from covalent_braket_plugin.job.context import context
from covalent_braket_plugin.job.needed import needed

__all__ = ["current_device", "device_of", "pennylane_device"]

SDK = "amazon-braket-sdk"
PLUGIN = "amazon-braket-pennylane-plugin"

LOCAL = "local:"
_NAMES = {"": "default", "default": "default"} | {
    name.replace("_", separator): name
    for name in ("braket_sv", "braket_dm", "braket_ahs")
    for separator in "_.-"
}
"""Names of the Braket SDK's local simulators as they stand in ``local:braket/...``, and as the SDK
knows them."""


def current_device() -> Any:
    """Get the job's quantum device.

    Returns:
        An ``AwsDevice`` if the job has a real one. For ``local:braket/braket_sv`` (``braket_dm``,
        ``braket_ahs``, ``default``) Braket's ``LocalSimulator``, which runs in this process; so
        it is with no device (``local:none/none``), and outside a job.

    Raises:
        ImportError: The image does not hold the Braket SDK.
        ValueError: The device is of a provider that is not Braket's, such as
            ``local:pennylane/lightning.qubit``: see `pennylane_device`.
    """
    return device_of(context().device_arn)


def device_of(given: Any) -> Any:
    """Get a quantum device by what names it.

    Args:
        given: An ARN or ``local:...``; a name in any case that the Braket SDK's ``Devices`` knows,
            such as ``"Garnet"``, which needs no call to AWS; or a device, which is given back.

    Raises:
        ImportError: The image does not hold the Braket SDK.
        ValueError: Nothing is known under this name, or it is no device of Braket's.
    """
    if not isinstance(given, str):
        return given
    if given.startswith(LOCAL):
        return needed("braket.devices", SDK).LocalSimulator(_backend(given))
    aws = needed("braket.aws", SDK)
    return aws.AwsDevice(str(given) if given.startswith("arn:") else _arn_of(given))


def pennylane_device(wires: Any, shots: int | None = None, **options: Any) -> Any:
    """Get the job's quantum device for PennyLane.

    Args:
        wires: How many wires, or their labels.
        shots: How often a circuit is run. None: expectation values are exact on a simulator, and
            1000 shots are taken on a QPU.
        **options: For PennyLane's device, such as ``parallel=True``.

    Returns:
        ``braket.aws.qubit`` on the job's device: the results of quantum tasks go where the job's
        own go, so it needs no `s3_destination_folder`. ``braket.local.qubit`` for ``local:braket/``
        and outside a job; for ``local:pennylane/NAME`` PennyLane's own device of that name.

    Raises:
        ImportError: The image does not hold PennyLane, or not its plugin for Braket.
        ValueError: The device is of a provider that is neither Braket nor PennyLane, or it runs no
            circuits.
    """
    make = needed("pennylane", "pennylane").device
    given = options if shots is None else {"shots": shots, **options}
    arn = context().device_arn
    provider, _, name = arn.removeprefix(LOCAL).partition("/")
    if arn.startswith(LOCAL) and provider == "pennylane":
        return make(name, wires=wires, **given)
    needed("braket.pennylane_plugin", PLUGIN)
    if not arn.startswith(LOCAL):
        return make("braket.aws.qubit", wires=wires, device_arn=arn, **given)
    backend = _backend(arn)
    if backend == "braket_ahs":
        raise ValueError(f"The device {arn!r} runs no circuits: use job.current_device().")
    return make("braket.local.qubit", wires=wires, backend=backend, **given)


def _backend(device: str) -> str:
    """Find the Braket SDK's name of a local simulator."""
    provider, _, name = device.removeprefix(LOCAL).partition("/")
    if provider == "none":
        return "default"
    if provider != "braket":
        hint = " Use job.pennylane_device(wires)." if provider == "pennylane" else ""
        raise ValueError(
            f"The device {device!r} is of the provider {provider!r}, and not one of the Braket "
            f"SDK's.{hint}"
        )
    if name not in _NAMES:
        known = ", ".join(f"{LOCAL}braket/{each}" for each in dict.fromkeys(_NAMES.values()))
        raise ValueError(f"There is no local simulator {device!r}. There are: {known}.")
    return _NAMES[name]


def _arn_of(name: str) -> str:
    """Find the ARN of a device in the Braket SDK's own list; what is retired is not in it."""
    devices = needed("braket.devices", SDK).Devices
    found = {
        arn.value.rpartition("/")[2]: str(arn.value)
        for provider, members in vars(devices).items()
        if not provider.startswith("_")
        for arn in members
        if not arn.name.startswith("_")
    }
    for each, arn in found.items():
        if _plain(each) == _plain(name):
            return arn
    raise ValueError(
        f"No device is known as {name!r}. Give its ARN, local:braket/NAME, or one of these names: "
        f"{', '.join(sorted(found))}."
    )


def _plain(name: str) -> str:
    return "".join(filter(str.isalnum, name)).lower()
