"""Show the plugin at work: a Covalent server, a local Braket, a workflow, and what comes out.

    make demo           (or: python examples/demo.py)
    make demo-stop      (or: python examples/demo.py --stop)
    python examples/demo.py --picture docs/images/energy.svg    the picture in the documentation

The workflow is the one of quickstart.py. Both servers belong to the demo alone: they live in one
folder, listen on free ports of 127.0.0.1 and go on running, so that the next demo takes seconds.
The exit code is 0 only if every result is right.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from shlex import quote as quoted
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from demo_server import DemoServer, ServerError
from rich.console import Console
from rich.markup import escape

from covalent_braket_plugin import local_endpoint
from covalent_braket_plugin.errors import LocalBraketError, PlotError

if TYPE_CHECKING:
    from demo_view import Electron, View

ROOT = Path(__file__).resolve().parent.parent
LIMIT_SECONDS = 300.0
LOOK_SECONDS = 0.4
STDERR_LINES = 15
PLOT_COLUMNS = 78
LOG_GROUP = "/aws/braket/jobs"

console = Console(highlight=False)


class DemoError(Exception):
    """The demo did not end as it should; the text says how."""


def demo_folder() -> Path:
    """Folder of the demo: in the checkout, unless Covalent could not work there."""
    folder = ROOT / ".demo"
    if quote(str(folder)) == str(folder):
        return folder
    # Covalent 0.240 confuses files whose path has blanks or other characters that URLs quote.
    mark = hashlib.sha256(str(folder).encode()).hexdigest()[:8]
    return Path(tempfile.gettempdir()) / f"covalent-braket-demo-{os.getuid()}-{mark}"


def run(server: DemoServer, picture: Path) -> None:
    """Start what does not run yet, dispatch the workflow, show it, check its results.

    Args:
        server: The demo's server.
        picture: File for the energy's curve.

    Raises:
        DemoError: Something went wrong, or a result is wrong.
        LocalBraketError: The local Braket did not start.
        ServerError: Covalent's server did not start.
    """
    began = time.monotonic()
    console.print(
        "\n[bold]A Covalent workflow on Amazon Braket Hybrid Jobs[/]\n"
        "Here on the built-in local Braket: no AWS account, no Docker.\n"
    )
    url, endpoint = start(server)
    # Only now, since Covalent reads where its server is when it is imported.
    import covalent as ct
    import quickstart
    from demo_view import View

    by_value(quickstart)
    dispatch_id = ct.dispatch(quickstart.quickstart)()
    done("Workflow dispatched", f"{url}/{dispatch_id}")
    done("Watch it live", f"{url}/braket/{dispatch_id}")
    console.print()
    view = View(url, dispatch_id, endpoint)
    electrons = follow(view)
    show_results(ct.get_result(dispatch_id, wait=True).result, quickstart)
    show_curve(view, electrons, picture, quickstart.EXACT)
    listing = f". {shell(server)}; covalent-braket jobs list --set local=yes"
    console.print(
        f"\n[green]All results are right.[/] {time.monotonic() - began:.1f} s in all.\n\n"
        f"  See it in Covalent's UI   {url}/{dispatch_id}\n"
        f"  Ask about its jobs        ({listing})\n"
        f"  Read the workflow         examples/quickstart.py\n"
        f"  Stop what is running      make demo-stop\n",
        soft_wrap=True,
    )


def shell(server: DemoServer) -> str:
    """Write a file that makes a shell talk to the demo's servers; returns where it is."""
    mine = server.environment(os.environ)
    mine["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), mine.get("PATH", "")])
    changed = {name: mine[name] for name in (*server.environment({}), "PATH")}
    file = server.folder / "env.sh"
    file.write_text("".join(f"export {name}={quoted(it)}\n" for name, it in changed.items()))
    return str(file.relative_to(ROOT) if file.is_relative_to(ROOT) else file)


def start(server: DemoServer) -> tuple[str, Mapping[str, Any]]:
    """Start both servers side by side; returns the one's URL and the other's state."""
    with (
        console.status("Starting Covalent's server and the local Braket ..."),
        ThreadPoolExecutor(2) as pool,
    ):
        covalent = pool.submit(server.find_or_start)
        braket = pool.submit(local_endpoint.find_or_start, server.local_braket)
        url, endpoint = covalent.result(), braket.result()
    done("Covalent server", url)
    done("Local Braket", endpoint["endpoint_url"])
    return url, endpoint


def done(what: str, where: str) -> None:
    """Say that a step is done."""
    console.print(f"[green]✓[/] {what:<22} {where}", soft_wrap=True)


def by_value(module: Any) -> None:
    """Have the module's functions pickled whole: the jobs cannot import it."""
    import cloudpickle

    cloudpickle.register_pickle_by_value(module)


def follow(view: View) -> list[Electron]:
    """Show the electrons until the workflow has ended; returns how they are then.

    Raises:
        DemoError: It failed, or it takes far too long.
    """
    from demo_view import ENDED, Screen

    deadline = time.monotonic() + LIMIT_SECONDS
    with Screen(console) as screen:
        while True:
            electrons = view.look()
            screen.show(electrons)
            if view.status in ENDED:
                break
            if time.monotonic() > deadline:
                raise DemoError(f"The workflow has not ended after {LIMIT_SECONDS:.0f} s.")
            time.sleep(LOOK_SECONDS)
    check_ended_well(view, electrons)
    return electrons


def check_ended_well(view: View, electrons: list[Electron]) -> None:
    """Tell which electrons failed, and why.

    Raises:
        DemoError: Any failed.
    """
    if view.status == "COMPLETED":
        return
    import covalent as ct
    from demo_view import FAILED

    result = ct.get_result(view.dispatch_id)
    for each in electrons:
        if each.status in FAILED:
            node = result.get_node_result(each.node_id)
            stderr = (node["stderr"] or "").splitlines()[-STDERR_LINES:]
            console.print(f"\n[red]{each.name}[/] {each.status.lower()}")
            console.print(escape("\n".join([node["error"] or "", *stderr]).strip()), soft_wrap=True)
    raise DemoError(f"The workflow ended as {view.status}: {view.server_url}/{view.dispatch_id}")


def show_results(report: Mapping[str, float], quickstart: Any) -> None:
    """Print the results beside what they should be.

    Raises:
        DemoError: One is wrong.
    """
    rows = [
        ("<Z> after a Hadamard", report["coin"], 0.0, 1e-9),
        ("Ground state of H2 (Ha)", report["energy"], quickstart.EXACT, 1e-5),
    ]
    console.print()
    for what, found, exact, tolerance in rows:
        right = abs(found - exact) <= tolerance
        mark = "[green]✓[/]" if right else "[red]✗[/]"
        # Adding 0.0 makes a rounded -0.0 a plain 0.
        console.print(f"{mark} {what:<25} {round(found, 6) + 0.0:10.6f}   exact {exact:10.6f}")
        if not right:
            raise DemoError(f"{what} is {found}, but should be {exact}.")


def show_curve(view: View, electrons: list[Electron], path: Path, exact: float) -> None:
    """Draw the energy that the job logged after each iteration: here, and into a file."""
    from covalent_braket_plugin import aws, settings
    from covalent_braket_plugin.monitoring import logs, metrics, plots

    (node_id,) = (each.node_id for each in electrons if each.name == "ground_state_energy")
    job = view.jobs()[str(node_id)]
    local = settings.resolve({"local": True}, {}, {})
    clients = aws.clients_for(settings.with_local(local, view.endpoint))
    stream = logs.job_log(clients, LOG_GROUP, job["jobName"], job["jobArn"])
    table = metrics.frame(logs.read_all(clients, LOG_GROUP, stream))
    marks = {"energy": exact}
    plots.plot(table, path, title="Ground state energy of H2, in hartree", exact=marks)
    width = min(console.width, PLOT_COLUMNS)
    console.print(f"\n{plots.terminal_plot(table, width=width, exact=marks)}\n", markup=False)
    done("The curve as a picture", str(path))


def stop(server: DemoServer) -> None:
    """End both servers of this demo, and nothing else."""
    was_running = server.stop()
    state_dir = server.local_braket
    if local_endpoint.find(state_dir):
        command = [sys.executable, "-m", "covalent_braket_plugin.local", "stop"]
        subprocess.run(
            [*command, "--state-dir", str(state_dir)], check=True, timeout=60, capture_output=True
        )
        was_running = True
    console.print("The demo's servers are stopped." if was_running else "Nothing was running.")


def main() -> int:
    """Run or stop the demo; returns the exit code."""
    parser = argparse.ArgumentParser(description="Run a workflow on the built-in local Braket.")
    parser.add_argument("--stop", action="store_true", help="end what earlier runs left running")
    parser.add_argument("--folder", type=Path, default=demo_folder(), help="where the demo lives")
    parser.add_argument("--picture", type=Path, help="the curve's file, .png or .svg")
    arguments = parser.parse_args()

    server = DemoServer(arguments.folder.absolute())
    if arguments.stop:
        stop(server)
        return 0
    environment = server.environment(os.environ)
    os.environ.clear()
    os.environ.update(environment)
    warnings.simplefilter("ignore")
    try:
        run(server, arguments.picture or server.folder / "energy.png")
    except KeyboardInterrupt:
        console.print("\nNo longer watching. Stop what is still running with: make demo-stop")
        return 130
    except (DemoError, LocalBraketError, PlotError, ServerError) as error:
        console.print(f"\n[red]The demo failed.[/] {escape(str(error))}", soft_wrap=True)
        console.print(f"Logs: {server.log} and {server.local_braket}", soft_wrap=True)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
