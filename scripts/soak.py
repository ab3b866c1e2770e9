"""A soak: many electrons for a few minutes, and at any moment a call that goes wrong.

    make soak                          120 electrons, another seed each time
    make soak ARGS="--seed 7"          the same electrons and faults once more

A Covalent server and a local Braket with the quotas of a new AWS account. Electrons of several
workflows last differently long; some fail on purpose, some lose their container and are retried,
some workflows are cancelled. Meanwhile calls are throttled, refused, dropped before or after they
are carried out, and met by expired credentials, at random. In the end every electron must have
ended as it should, none may have run twice in one attempt, and no job may be left.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from scripts.bench.stage import ENDED, ROOT, Stage, environment

Fate = Literal["completes", "fails", "breaks once"]

INSIDE = "SOAK_FOLDER"
WORKFLOWS = 6
CANCELLED_WORKFLOWS = 2
MOST_SECONDS = 3.0
SLOTS = 3
LOOK_SECONDS = 1.0
LONGEST_SECONDS = 1200.0
LAST_JOBS_SECONDS = 90.0
TERMINAL = {"COMPLETED", "FAILED", "CANCELLED"}

FAULTS: list[dict[str, Any]] = [
    {"operation": "braket:*", "kind": "throttle", "probability": 0.04},
    {"operation": "braket:*", "kind": "error", "probability": 0.04},
    {"operation": "*", "kind": "drop", "probability": 0.03},
    {"operation": "*", "kind": "drop", "after": True, "probability": 0.03},
    {"operation": "s3:*", "kind": "error", "code": "SlowDown", "status": 503, "probability": 0.04},
    {"operation": "s3:*", "kind": "error", "probability": 0.03},
    {"operation": "braket:*", "kind": "error", "code": "ExpiredTokenException", "status": 403,
     "probability": 0.02},
    {"operation": "CreateJob", "kind": "quota", "probability": 0.1},
    {"operation": "*", "kind": "slow", "seconds": 0.5, "probability": 0.05},
]  # fmt: skip


@dataclass
class Plan:
    """What an electron is to do.

    Attributes:
        number: Its number; it returns the square.
        ledger: File to which it adds a line whenever it runs.
        seconds: How long it works.
        fate: What then becomes of it.
    """

    number: int
    ledger: str
    seconds: float
    fate: Fate

    @property
    def runs(self) -> int:
        """How often it runs if nothing is cancelled."""
        return 2 if self.fate == "breaks once" else 1

    @property
    def status(self) -> str:
        """How it ends if nothing is cancelled."""
        return "FAILED" if self.fate == "fails" else "COMPLETED"


@dataclass
class Workflow:
    """One dispatch.

    Attributes:
        plans: Of its electrons.
        cancel_after: Seconds after which it is cancelled; None: it is not.
        start_after: Seconds after which it is dispatched.
    """

    plans: list[Plan]
    cancel_after: float | None
    start_after: float
    dispatch_id: str = ""
    began: float = 0.0
    cancelled: bool = False
    status: str = ""


@dataclass
class Verdict:
    """What came of it.

    Attributes:
        seed: The seed.
        seconds: How long it took.
        ends: How many electrons ended how, by what they were to do.
        wrong: What is not as it should be.
        answers: Answers to the dispatcher, by operation and HTTP status.
    """

    seed: int
    seconds: float = 0.0
    ends: dict[str, dict[str, int]] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)
    answers: dict[str, int] = field(default_factory=dict)


def planned(seed: int, electrons: int, folder: Path) -> list[Workflow]:
    """Draw up the workflows."""
    chance = random.Random(seed)
    numbers = iter(range(electrons))
    workflows = []
    for index in range(WORKFLOWS):
        share = electrons // WORKFLOWS + (index < electrons % WORKFLOWS)
        plans = [_plan(chance, next(numbers), folder) for _ in range(share)]
        cancel = chance.uniform(5, 30) if index < CANCELLED_WORKFLOWS else None
        workflows.append(Workflow(plans, cancel, chance.uniform(0, 20)))
    return workflows


def _plan(chance: random.Random, number: int, folder: Path) -> Plan:
    fate: Fate = chance.choices(("completes", "fails", "breaks once"), (8, 2, 1))[0]
    return Plan(number, str(folder / f"run-{number}"), chance.uniform(0, MOST_SECONDS), fate)


def lattice() -> Any:
    """The workflow: independent electrons, each by its plan."""
    import cloudpickle
    import covalent as ct

    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    executor = ct.executor.BraketExecutor(local=True, retries=1, poll_freq=5)

    @ct.electron(executor=executor)  # type: ignore[untyped-decorator]
    def soaked(number: int, ledger: str, seconds: float, fate: str) -> int:
        import os
        import time
        from pathlib import Path

        with Path(ledger).open("a") as file:
            file.write("run\n")
        time.sleep(seconds)
        if fate == "fails":
            raise ValueError(f"planned failure of {number}")
        if fate == "breaks once" and len(Path(ledger).read_text().splitlines()) == 1:
            os.kill(os.getppid(), 9)
            time.sleep(60)
        return number**2

    @ct.lattice  # type: ignore[untyped-decorator]
    def flow(plans: list[tuple[int, str, float, str]]) -> None:
        for plan in plans:
            soaked(*plan)

    return flow


class Soak:
    """One soak on one stage."""

    def __init__(self, stage: Stage, seed: int, workflows: Sequence[Workflow]) -> None:
        self._stage = stage
        self._workflows = workflows
        self._began = time.monotonic()
        self.verdict = Verdict(seed)

    def run(self) -> Iterator[int]:
        """Dispatch, cancel and wait; yields how many electrons have run, now and then."""
        self._faults(self.verdict.seed)
        while any(not one.status for one in self._workflows):
            if time.monotonic() - self._began > LONGEST_SECONDS:
                late = [one.dispatch_id for one in self._workflows if not one.status]
                self.verdict.wrong.append(f"not ended after {LONGEST_SECONDS:.0f} s: {late}")
                break
            for one in self._workflows:
                self._tend(one)
            yield sum(Path(p.ledger).exists() for one in self._workflows for p in one.plans)
            time.sleep(LOOK_SECONDS)
        self._control("DELETE", "faults")
        self._judge()

    def _tend(self, one: Workflow) -> None:
        import covalent as ct

        now = time.monotonic()
        if not one.dispatch_id:
            if now - self._began >= one.start_after:
                plans = [(p.number, p.ledger, p.seconds, p.fate) for p in one.plans]
                one.dispatch_id = self._stage.dispatch(lattice(), plans)
                one.began = now
            return
        wanted = one.cancel_after is not None and now - one.began >= one.cancel_after
        if wanted and not one.cancelled:
            one.cancelled = True
            ct.cancel(one.dispatch_id, dispatcher_addr=self._stage.url)
        status = self._stage.status(one.dispatch_id)
        one.status = status if status in ENDED else ""

    def _faults(self, seed: int) -> None:
        always = {"times": 0, "caller": "dispatcher"}
        rules = [{**always, "seed": seed + n, **rule} for n, rule in enumerate(FAULTS, 1)]
        self._control("POST", "faults", rules)

    def _control(self, method: str, name: str, body: Any = None) -> Any:
        url = f"{self._stage.braket['endpoint_url']}/_local/{name}"
        data = None if body is None else json.dumps(body).encode()
        with urllib.request.urlopen(urllib.request.Request(url, data, method=method)) as answer:
            return json.load(answer)

    # --- what came of it -------------------------------------------------------------------------

    def _judge(self) -> None:
        verdict = self.verdict
        for one in self._workflows:
            if one.status:
                self._judge_workflow(one)
        open_jobs = self._open_jobs()
        verdict.wrong += [f"job {job['jobName']} is still {job['status']}" for job in open_jobs]
        names = Counter(job["jobName"] for job in self._stage.jobs())
        twice = [name for name, count in names.items() if count > 1]
        verdict.wrong += [f"more than one job named {name}" for name in twice]
        verdict.answers = self._stage.counted("answers")
        verdict.seconds = round(time.monotonic() - self._began, 1)

    def _judge_workflow(self, one: Workflow) -> None:
        import covalent as ct

        result = ct.get_result(one.dispatch_id, dispatcher_addr=self._stage.url)
        nodes = [
            node for node in result.get_all_node_results() if node["node_name"] == "soaked"
        ]  # in the order in which they were made
        for plan, node in zip(one.plans, nodes, strict=True):
            status = str(node["status"])
            group = f"{plan.fate}, workflow cancelled" if one.cancelled else plan.fate
            ends = self.verdict.ends.setdefault(group, {})
            ends[status] = ends.get(status, 0) + 1
            problem = _problem(plan, node, status, cancelled=one.cancelled)
            if problem:
                self.verdict.wrong.append(f"{one.dispatch_id} electron {plan.number}: {problem}")

    def _open_jobs(self) -> list[dict[str, Any]]:
        deadline = time.monotonic() + LAST_JOBS_SECONDS
        while True:
            jobs = [job for job in self._stage.jobs() if job["status"] not in TERMINAL]
            if not jobs or time.monotonic() > deadline:
                return jobs
            time.sleep(LOOK_SECONDS)


def _problem(plan: Plan, node: dict[str, Any], status: str, *, cancelled: bool) -> str:
    """Say what is wrong with how an electron ended; empty if nothing is."""
    ledger = Path(plan.ledger)
    runs = len(ledger.read_text().splitlines()) if ledger.exists() else 0
    if cancelled and status == "CANCELLED":
        return f"ran {runs} times" if runs > plan.runs else ""
    if status != plan.status:
        return f"{status} instead of {plan.status}: {node['error']}"
    if runs != plan.runs:
        return f"ran {runs} times instead of {plan.runs}"
    if status == "FAILED":
        told = f"planned failure of {plan.number}" in (node["error"] or "")
        return "" if told else f"failed for another reason: {node['error']}"
    value = node["output"].get_deserialized()
    return "" if value == plan.number**2 else f"returned {value!r}"


def _table(verdict: Verdict) -> Table:
    table = Table(title=f"Soak with seed {verdict.seed}, {verdict.seconds:.0f} s")
    for name in ("electrons that", "COMPLETED", "FAILED", "CANCELLED"):
        table.add_column(name, justify="left" if name == "electrons that" else "right")
    for group, ends in sorted(verdict.ends.items()):
        others = (str(ends.get(name, 0)) for name in ("COMPLETED", "FAILED", "CANCELLED"))
        table.add_row(group, *others)
    return table


def inside(folder: Path, options: argparse.Namespace) -> int:
    """Soak, in an environment that shares nothing with the user's Covalent."""
    console = Console()
    workflows = planned(options.seed, options.electrons, folder)
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn()
    with Progress(*columns, TimeElapsedColumn(), console=console, transient=True) as progress:
        task = progress.add_task("starting", total=options.electrons)
        with Stage(folder, quotas="default", slots=SLOTS) as stage:
            soak = Soak(stage, options.seed, workflows)
            for begun in soak.run():
                progress.update(task, completed=begun, description="electrons that have run")
    verdict = soak.verdict
    console.print(_table(verdict))
    failed = sum(n for name, n in verdict.answers.items() if name[-3:] >= "400")
    console.print(f"{failed} of {sum(verdict.answers.values())} answers were errors.")
    for line in verdict.wrong:
        console.print(line, style="red", markup=False)
    console.print("[red]Not right.[/red]" if verdict.wrong else "[green]All is right.[/green]")
    if options.json:
        Path(options.json).write_text(json.dumps(asdict(verdict), indent=1) + "\n")
    return 1 if verdict.wrong else 0


def main(arguments: Sequence[str]) -> int:
    """Read the arguments, and start anew in an environment of our own.

    Returns:
        Exit code: 0 if all is right.
    """
    parser = argparse.ArgumentParser(prog="make soak ARGS=...", description="Soak in faults.")
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000))
    parser.add_argument("--electrons", type=int, default=120, help="default %(default)s")
    parser.add_argument("--json", help="file for the figures")
    options = parser.parse_args(arguments)
    if INSIDE in os.environ:
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # the servers are stopped then too
        return inside(Path(os.environ[INSIDE]), options)
    print(f"Seed {options.seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="covalent-braket-soak-") as folder:
        command = [sys.executable, "-m", "scripts.soak", *arguments, f"--seed={options.seed}"]
        inner = {**environment(Path(folder)), INSIDE: folder}
        return subprocess.call(command, env=inner, cwd=ROOT)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
