"""One tiny job, by the executor itself and without a Covalent server."""

from __future__ import annotations

import asyncio
import secrets
import time
import uuid
from typing import Any

from covalent_braket_plugin.doctor import electron
from covalent_braket_plugin.doctor.exam import Exam
from covalent_braket_plugin.doctor.findings import Result, failed, ok
from covalent_braket_plugin.errors import BraketPluginError

__all__ = ["trial"]


def trial(exam: Exam) -> Result:
    """Run an electron as a job, and look at what comes back.

    It is interrupted as any run of an executor: the job is cancelled. Its objects in the bucket
    are removed by the executor but for the outcome, unless `keep_payload` is set.
    """
    import cloudpickle
    from covalent._shared_files.exceptions import TaskCancelledError, TaskRuntimeError

    from covalent_braket_plugin.braket import BraketExecutor

    cloudpickle.register_pickle_by_value(electron)
    number, began = secrets.randbelow(1_000_000), time.monotonic()
    task = {"dispatch_id": str(uuid.uuid4()), "node_id": 0}
    try:
        executor = BraketExecutor(**exam.given)
        value = asyncio.run(executor.run(electron.probe, [number], {}, task))
    except TaskRuntimeError as error:
        return failed(f"the job failed: {str(error).strip()}", "See the job in Braket's console")
    except TaskCancelledError:
        return failed("the job was cancelled", "Somebody cancelled it; run the doctor again")
    except BraketPluginError as error:
        return failed(f"no job came of it: {error}", "See the checks above, and the error")
    finally:
        cloudpickle.unregister_pickle_by_value(electron)
    return _judged(value, number, time.monotonic() - began)


def _judged(value: Any, number: int, seconds: float) -> Result:
    if not isinstance(value, dict) or value.get("doubled") != 2 * number:
        return failed(f"the job gave {value!r}", "That is a fault of this package: report it")
    return ok(
        f"a job ran on Python {value['python']} and its value came back after {seconds:.0f} s"
    )
