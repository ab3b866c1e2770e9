"""Redispatches: an electron goes on from the checkpoints that it saved in the dispatch before."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import covalent as ct
import pytest

from covalent_braket_plugin.braket import BraketExecutor
from tests.support.stage import Stage

pytestmark = pytest.mark.e2e


@ct.electron(executor=BraketExecutor(local=True))
def adds(what: str, file: str) -> list[str]:
    """Add to what was saved; fail the first time."""
    from covalent_braket_plugin import job

    found: list[str] = [*job.checkpoint.load(default=[]), what]
    job.checkpoint.save(found)
    if not Path(file).exists():
        Path(file).touch()
        raise ValueError("not yet")
    return found


@ct.lattice
def flow(what: str, file: str) -> Any:
    return adds(what, file)


def redispatched(stage: Stage, dispatch_id: str, *args: Any, reuse: bool = False) -> Any:
    again = ct.redispatch(dispatch_id, dispatcher_addr=stage.url, reuse_previous_results=reuse)
    return stage.result(again(*args))


def checkpoints(stage: Stage, dispatch_id: str) -> list[str]:
    return [key for key in stage.objects_of(dispatch_id) if "/checkpoints/" in key]


def test_redispatch_goes_on_from_checkpoints_until_the_electron_is_done(
    stage: Stage, tmp_path: Path
) -> None:
    file = str(tmp_path / "begun")
    first = stage.run(flow, "a", file)
    assert str(first.status) == "FAILED"
    assert len(checkpoints(stage, first.dispatch_id)) == 1
    second = redispatched(stage, first.dispatch_id, reuse=True)
    assert second.result == ["a", "a"], second.error
    assert checkpoints(stage, first.dispatch_id) == []
    Path(file).unlink()
    third = redispatched(stage, second.dispatch_id)
    assert str(third.status) == "FAILED"  # run once more, it began anew
    assert len(checkpoints(stage, first.dispatch_id)) == 1
    fourth = redispatched(stage, third.dispatch_id, "b", file)  # another argument
    assert fourth.result == ["b"], fourth.error
    (node,) = [n for n in fourth.get_all_node_results() if n["node_name"] == "adds"]
    assert "with other arguments" in node["stderr"]
