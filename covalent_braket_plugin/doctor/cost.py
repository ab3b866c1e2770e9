"""What an electron may cost, and whether `max_cost` allows it."""

from __future__ import annotations

from covalent_braket_plugin.costs import limits
from covalent_braket_plugin.costs.prices import at_hand
from covalent_braket_plugin.doctor.exam import Exam
from covalent_braket_plugin.doctor.findings import Result, failed, ok
from covalent_braket_plugin.errors import CostLimitError

__all__ = ["cost"]


def cost(exam: Exam) -> Result:
    """See whether electrons would be refused for what they may cost; asks AWS only for prices."""
    region = exam.clients.region
    try:
        limits.budget_of(exam.settings, region)
    except CostLimitError as error:
        return failed(str(error), "Set max_cost to what an electron may cost, or to none")
    return ok(limits.sentence(exam.settings, region, at_hand()))
