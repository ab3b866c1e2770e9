"""For code inside an electron: where it runs, what it was given, and how it tells what it does.

    from covalent_braket_plugin import job

Imports where the job runs, without Covalent, and outside a job too, where every question has a
sensible answer: the same function runs in a notebook. Nothing heavy is imported before it is used.
"""

from __future__ import annotations

from covalent_braket_plugin.errors import NoDeviceError, ParallelError, QuantumTaskError
from covalent_braket_plugin.job import checkpoint
from covalent_braket_plugin.job.context import Context, context
from covalent_braket_plugin.job.device import current_device, pennylane_device
from covalent_braket_plugin.job.environment import describe_environment
from covalent_braket_plugin.job.fallback import FallbackResult, run_with_fallback
from covalent_braket_plugin.job.files import input_dir, results_dir
from covalent_braket_plugin.job.hyperparameters import hyperparameters
from covalent_braket_plugin.job.metrics import log_metric
from covalent_braket_plugin.job.parallel import run_parallel
from covalent_braket_plugin.job.retry import run_with_retry
from covalent_braket_plugin.job.status import update_status
from covalent_braket_plugin.job.stopping import Stopped, seconds_left, should_stop, stop

__all__ = [
    "Context",
    "FallbackResult",
    "NoDeviceError",
    "ParallelError",
    "QuantumTaskError",
    "Stopped",
    "checkpoint",
    "context",
    "current_device",
    "describe_environment",
    "hyperparameters",
    "input_dir",
    "log_metric",
    "pennylane_device",
    "results_dir",
    "run_parallel",
    "run_with_fallback",
    "run_with_retry",
    "seconds_left",
    "should_stop",
    "stop",
    "update_status",
]
