"""Where settings come from, and what must hold between them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from covalent_braket_plugin.errors import SettingError
from covalent_braket_plugin.settings.coerce import COERCE, plain, type_problem, whole_place
from covalent_braket_plugin.settings.rules import Problem, closest, no_key
from covalent_braket_plugin.settings.table import (
    BY_NAME,
    LEGACY_KEYS,
    SETTINGS,
    Setting,
    Settings,
)

__all__ = [
    "check",
    "check_complete",
    "check_given",
    "check_one",
    "no_simulators",
    "own_values",
    "plain_json",
    "region_of_device",
    "resolve",
    "same",
    "unknown",
    "with_local",
    "with_region",
]

CONSTRUCTOR = "constructor"
CONFIG = "config"
DEFAULT = "default"
_EXPLICIT = {CONSTRUCTOR: 2, CONFIG: 1}


def resolve(
    given: Mapping[str, object], config: Mapping[str, object], environ: Mapping[str, str]
) -> Settings:
    """Decide every setting: given, else from the config file, else the environment, else default.

    None, ``""`` and an empty map mean unset; 0 and False are values. The values get the right
    types here; their rules are checked by `check`.

    Args:
        given: What the constructor got.
        config: The section ``[executors.braket]`` of Covalent's configuration file. Unknown keys
            are ignored here and in ``given``.
        environ: Environment variables. They say where AWS is, so they are not asked for a
            setting if the local Braket is to be used.

    Raises:
        SettingError: A value cannot be made the setting's type.
    """
    values: dict[str, Any] = {}
    sources: dict[str, str] = {}
    for setting in sorted(SETTINGS, key=lambda setting: setting.name != "local"):
        known = {} if values.get("local") else environ
        value, source = _first(setting, given, config, known)
        sources[setting.name] = source
        if value is not None:
            values[setting.name] = _coerce(setting, value, source)
    return Settings(**values, sources=sources)


def check_one(name: str, value: object) -> Any:
    """Check one value that a user wrote.

    Returns:
        The value in the setting's type; None if it means unset.

    Raises:
        SettingError: It breaks the setting's rule.
        KeyError: There is no such setting.
    """
    setting = BY_NAME[name]
    if _unset(value):
        return None
    value = _coerce(setting, value, CONSTRUCTOR)
    _check_value(setting, value, CONSTRUCTOR)
    return value


def check_given(
    given: Mapping[str, object], config: Mapping[str, object] = MappingProxyType({})
) -> dict[str, object]:
    """Check the constructor's arguments, each and together, and make them plain.

    Args:
        given: What the constructor got; unknown names are passed over.
        config: The section ``[executors.braket]``. Covalent hands its values to the constructor
            too: those are not checked here, so that a mistake in the file is an electron's error
            and not a broken server.

    Returns:
        Every known setting of ``given`` as JSON can hold it: text, int, float, bool, or a dict of
        text; None if it is unset, or comes from ``config`` in a form that JSON cannot hold.

    Raises:
        SettingError: A value breaks its setting's rule, or two disagree.
    """
    known = {name: value for name, value in given.items() if name in BY_NAME}
    own = own_values(known, config)
    settings = resolve(own, {}, {})
    check(settings)
    return {
        name: _stored(settings, name, value) if name in own else _as_json(value)
        for name, value in known.items()
    }


def own_values(values: Mapping[str, object], config: Mapping[str, object]) -> dict[str, object]:
    """Pick the settings that an executor was given itself.

    Covalent hands the values of the configuration file to the constructor too.

    Args:
        values: What an executor has; unknown names are passed over.
        config: The section ``[executors.braket]``.
    """
    return {
        name: value
        for name, value in values.items()
        if name in BY_NAME and not same(value, config.get(name))
    }


def same(one: object, other: object) -> bool:
    """Whether two values are equal; values that cannot be compared are not (arrays, say)."""
    try:
        return bool(one == other)
    except (ValueError, TypeError):
        return False


def _stored(settings: Settings, name: str, value: object) -> object:
    if _unset(value):
        return None
    value = getattr(settings, name)
    return plain_json(value)


def plain_json(value: object) -> object:
    """Make a setting's value what JSON has a word for."""
    if isinstance(value, Mapping):
        return dict(value)
    return list(value) if isinstance(value, tuple) else value


def _as_json(value: object) -> object:
    try:
        return json.loads(json.dumps(value))
    except (ValueError, TypeError, RecursionError):
        return None


def check(settings: Settings) -> None:
    """Check every rule, of each setting and between them.

    Raises:
        SettingError: The first rule that is broken; for a value of the config file the text says
            where it is.
    """
    for setting in SETTINGS:
        value = getattr(settings, setting.name)
        if value is not None:
            _check_value(setting, value, settings.sources.get(setting.name, DEFAULT))
    _check_region(settings)


def check_complete(settings: Settings) -> None:
    """Check every rule as `check` does, and that no setting lacks another that it is for.

    Args:
        settings: Settings of all sources: an executor may have one of two, and the file the other.

    Raises:
        SettingError: The first rule that is broken.
    """
    check(settings)
    for name in ("external_id", "role_session_name"):
        if _explicitness(settings, name) and settings.assume_role_arn is None:
            fix = "Set assume_role_arn to the role's ARN, or leave this out."
            problem = Problem(fix, "it is for the role in assume_role_arn, which is not set")
            source = settings.sources[name]
            raise _refusal(BY_NAME[name], getattr(settings, name), problem, source)
    _check_fallback(settings)


def _check_fallback(settings: Settings) -> None:
    """Check that policy and devices for falling back are there both, or neither.

    Who has chosen another policy for one executor may leave the devices in the configuration file.

    Raises:
        SettingError: One is without the other.
    """
    devices, policy = settings.fallback_devices, settings.if_device_unavailable
    name, value = "if_device_unavailable", str(policy)
    if policy == "fallback" and not devices:
        fix = "Set fallback_devices to the devices to take instead, or use 'wait'."
        problem = Problem(fix, "it is for fallback_devices, which is not set")
    elif devices and not _explicitness(settings, name):
        name, value = "fallback_devices", ", ".join(devices)
        fix = "Set if_device_unavailable to 'fallback', or leave this out."
        problem = Problem(fix, f"these are never taken with if_device_unavailable={policy!r}")
    else:
        return
    raise _refusal(BY_NAME[name], value, problem, settings.sources.get(name, DEFAULT))


def region_of_device(device: str) -> str | None:
    """Read the region from a device's ARN; None for simulators and local devices."""
    parts = device.split(":")
    return (parts[3] or None) if len(parts) > 3 and parts[0] == "arn" else None


def no_simulators(device: str, region: str) -> str:
    """Say that a region has no on-demand simulators, if the device is one; empty otherwise."""
    if region == "eu-north-1" and ":device/quantum-simulator/" in device:
        return "Braket has no on-demand simulators in eu-north-1"
    return ""


def region_of_image(uri: str) -> str | None:
    """Read the region from the URI of an ECR image; None if it has another form."""
    match = re.match(r"\d+\.dkr\.ecr\.([a-z0-9-]+)\.", uri)
    return match[1] if match else None


def with_region(settings: Settings, profile_region: str | None) -> Settings:
    """Fill an unset region from the AWS profile, else from the device's ARN.

    Args:
        settings: Resolved settings.
        profile_region: What AWS's configuration says for the profile in use, if anything.

    Raises:
        SettingError: The region and the device (or the image) disagree.
    """
    if settings.region is None:
        device_region = region_of_device(settings.quantum_device)
        source = "profile" if profile_region else "device"
        filled = {"region": profile_region or device_region}
        settings = _replace(settings, filled, source) if filled["region"] else settings
    _check_region(settings)
    return settings


def with_local(settings: Settings, info: Mapping[str, Any]) -> Settings:
    """Fill what is needed to talk to a running local Braket.

    A value stays if somebody gave it as explicitly as ``local`` itself: ``local=True`` in the
    constructor outranks an image of the config file, which the local Braket would not know. Without
    an image, jobs bring the worker along, as on AWS.

    Args:
        settings: Resolved settings.
        info: What the local Braket says of itself: ``endpoint_url``, ``region``, ``role_arn``.
    """
    filled = {
        "endpoint_url": info["endpoint_url"],
        "region": region_of_device(settings.quantum_device) or info["region"],
        "braket_job_execution_role_name": info["role_arn"],
        "ecr_image_uri": None,
        "s3_bucket_name": None,
        "kms_key_id": None,
        **dict.fromkeys(("assume_role_arn", "external_id")),
        "role_session_name": BY_NAME["role_session_name"].default,
    }
    bar = max(_explicitness(settings, "local"), 1)
    if settings.assume_role_arn and _explicitness(settings, "assume_role_arn") >= bar:
        # A job and its role are of the same account.
        account = settings.assume_role_arn.split(":")[4]
        role = info["role_arn"].split(":")
        filled["braket_job_execution_role_name"] = ":".join([*role[:4], account, *role[5:]])
    weaker = {key: value for key, value in filled.items() if _explicitness(settings, key) < bar}
    return _replace(settings, weaker, "local Braket")


def unknown(names: Iterable[str]) -> list[tuple[str, str]]:
    """Find names that are no settings.

    Returns:
        Each with the setting that was probably meant, or an empty text. Keys of Covalent's own
        base classes are not listed.
    """
    found = []
    for name in names:
        if name in BY_NAME or LEGACY_KEYS.get(name) == "":
            continue
        guess = closest(name, BY_NAME).removeprefix("Did you mean ").strip("'?")
        found.append((name, LEGACY_KEYS.get(name, guess)))
    return found


def _unset(value: object) -> bool:
    if isinstance(value, str):
        return not value.strip()
    return value is None or (isinstance(value, Mapping) and not value)


def _first(
    setting: Setting,
    given: Mapping[str, object],
    config: Mapping[str, object],
    environ: Mapping[str, str],
) -> tuple[object, str]:
    for source, values in ((CONSTRUCTOR, given), (CONFIG, config)):
        if not _unset(values.get(setting.name)):
            return values[setting.name], source
    for variable in setting.environment:
        if not _unset(environ.get(variable)):
            value = None if setting.left_to_boto3 else environ[variable]
            return value, f"environment variable {variable}"
    return None, DEFAULT


def _explicitness(settings: Settings, name: str) -> int:
    return _EXPLICIT.get(settings.sources.get(name, DEFAULT), 0)


def _replace(settings: Settings, values: Mapping[str, Any], source: str) -> Settings:
    sources = {**settings.sources, **dict.fromkeys(values, source)}
    return replace(settings, **values, sources=sources)


def _check_value(setting: Setting, value: Any, source: str) -> None:
    problem = no_key(value) or setting.check(value)
    if problem is not None:
        raise _refusal(setting, value, problem, source)


def _refusal(setting: Setting, value: object, problem: Problem, source: str) -> SettingError:
    where = ""
    if source == CONFIG:
        where = " The value comes from [executors.braket] in Covalent's configuration file."
    elif source.startswith("environment"):
        where = f" The value comes from the {source}."
    shown = value if problem.shown is None else problem.shown
    unit = f", in {setting.unit}" if setting.unit else ""
    rule = problem.rule or f"it must be {setting.rule.replace('`', '')}{unit}"
    return SettingError(setting.name + problem.where, shown, rule, problem.fix + where)


def _check_region(settings: Settings) -> None:
    region = settings.region
    if region is None:
        return
    problem = _region_problem(settings, region)
    if problem is not None:
        source = settings.sources.get("region", DEFAULT)
        raise _refusal(BY_NAME["region"], region, problem, source)


def _region_problem(settings: Settings, region: str) -> Problem | None:
    device = settings.quantum_device
    device_region = region_of_device(device)
    if device_region not in (None, region):
        fix = f"Use region={device_region!r}, or a device of {region}."
        return Problem(fix, f"the device {device} is in {device_region}")
    if settings.local:
        return None
    if rule := no_simulators(device, region):
        fix = "Set quantum_device to a QPU of eu-north-1, or use another region."
        return Problem(fix, rule)
    image_region = region_of_image(settings.ecr_image_uri or "")
    if image_region not in (None, region):
        fix = f"Copy the image to a registry in {region}, or use region={image_region!r}."
        return Problem(fix, f"jobs cannot start from ecr_image_uri, which is in {image_region}")
    return None


def _coerce(setting: Setting, value: object, source: str) -> Any:
    try:
        made: Any = COERCE[setting.kind](plain(value))
    except (ValueError, TypeError, OverflowError) as error:
        key = no_key(value)
        problem = key or type_problem(setting, value)
        # The cause would show the value.
        raise _refusal(setting, value, problem, source) from (None if key else error)
    if setting.kind == "places" and source == CONSTRUCTOR:
        # Covalent's server, which reads them, runs in another directory.
        return {name: whole_place(place) for name, place in made.items()}
    return made
