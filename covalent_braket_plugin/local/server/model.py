"""Braket's service model as botocore ships it: the one source for routes, limits and statuses."""

from __future__ import annotations

from functools import cache
from typing import Any

__all__ = ["error_statuses", "service_model"]

# Codes that the service answers with although its model does not list them for every operation.
# BadRequestException is how a body that breaks the schema is refused
# (https://github.com/amazon-braket/amazon-braket-sdk-python/issues/1096).
UNMODELLED_STATUSES = {
    "BadRequestException": 400,
    "UnrecognizedClientException": 403,
    "MissingAuthenticationTokenException": 403,
}


@cache
def service_model() -> Any:
    """Load the model ``braket-2019-09-01`` of the installed botocore; takes 0.1 s, once."""
    import botocore.session

    return botocore.session.get_session().get_service_model("braket")


@cache
def error_statuses() -> dict[str, int]:
    """HTTP status of each error code of the service."""
    model = service_model()
    shapes = (
        shape
        for name in model.operation_names
        for shape in model.operation_model(name).error_shapes
    )
    modelled = {shape.name: int(shape.metadata["error"]["httpStatusCode"]) for shape in shapes}
    return UNMODELLED_STATUSES | modelled
