"""What became of electrons that ran as jobs, from the service itself; for notebooks and scripts.

    from covalent_braket_plugin import history

    for job in history.jobs(limit=10):
        print(job.created_at, job.name, job.status)
    job = history.job((dispatch_id, 0))
    print(job.report())
    print(job.result())

Where to look is said as for an executor: by the configuration file and the environment, or in
place (``history.jobs(region="us-east-1")``, ``history.History(local=True)``). It needs neither a
Covalent server nor a role, image or bucket.
"""

from __future__ import annotations

from covalent_braket_plugin.history.archive import ArtifactFile
from covalent_braket_plugin.history.hybrid_job import HybridJob
from covalent_braket_plugin.history.items import Item, counts_frame
from covalent_braket_plugin.history.service import History, job, jobs

__all__ = ["ArtifactFile", "History", "HybridJob", "Item", "counts_frame", "job", "jobs"]
