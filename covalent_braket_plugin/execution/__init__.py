"""One program on up to five devices, compared; for notebooks and scripts.

    from covalent_braket_plugin import execution

    job = execution.execute("bell.qasm", ["SV1", "Garnet"], max_cost=5)
    result = job.result()
    print(result.counts_dataframe())
    result.plot("bell.svg")

Covalent's server has to run (``covalent start``). Without ``backends`` neither an AWS account nor
credentials are needed.
"""

from __future__ import annotations

from covalent_braket_plugin.execution.executing import execute
from covalent_braket_plugin.execution.handle import ExecutionJob, get_execution_jobs
from covalent_braket_plugin.execution.results import Results

__all__ = ["ExecutionJob", "Results", "execute", "get_execution_jobs"]
