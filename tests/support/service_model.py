"""Check a request against the whole of botocore's service model.

botocore itself looks at required members, types and minima only; the service also refuses what
breaks a maximum, a pattern or an enumeration, so requests are held to all of them here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Any

import botocore.session
from botocore.model import ServiceModel, Shape
from botocore.validate import ParamValidator


@cache
def braket_model() -> ServiceModel:
    """The Braket service's model."""
    return botocore.session.get_session().get_service_model("braket")


def violations(operation: str, request: dict[str, Any]) -> list[str]:
    """Everything in which a request breaks the model."""
    shape = braket_model().operation_model(operation).input_shape
    basic = ParamValidator().validate(request, shape)
    found = [basic.generate_report()] if basic.has_errors() else []
    return found + list(_walk(operation, request, shape))


def _walk(path: str, value: Any, shape: Shape) -> Iterator[str]:
    yield from _limits(path, value, shape)
    if shape.type_name == "structure":
        for name, member in value.items():
            yield from _walk(f"{path}.{name}", member, shape.members[name])
    elif shape.type_name == "map":
        for key, member in value.items():
            yield from _walk(f"{path}.key", key, shape.key)
            yield from _walk(f"{path}.{key}", member, shape.value)
    elif shape.type_name == "list":
        for number, member in enumerate(value):
            yield from _walk(f"{path}[{number}]", member, shape.member)


def _limits(path: str, value: Any, shape: Shape) -> Iterator[str]:
    rules = shape.metadata
    size = value if isinstance(value, int) else len(value)
    if size > rules.get("max", size) or size < rules.get("min", size):
        yield f"{path}: {size} is outside {rules.get('min')}..{rules.get('max')}"
    if "enum" in rules and value not in rules["enum"]:
        yield f"{path}: {value!r} is not in the enumeration"
    if "pattern" in rules and not re.fullmatch(rules["pattern"], value):
        yield f"{path}: {value!r} does not match {rules['pattern']}"
