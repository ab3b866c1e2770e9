"""An electron gets its device, before anything of it is uploaded; async.

What `covalent_braket_plugin.devices` decides is put into force here: settings for that device,
questions at Braket's pace, and words for those who wait.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace

from covalent_braket_plugin import pipeline, shared
from covalent_braket_plugin.asking import NewWorkMaker
from covalent_braket_plugin.devices import catalogue
from covalent_braket_plugin.devices.availability import DeviceState
from covalent_braket_plugin.devices.choice import Chosen, Picker
from covalent_braket_plugin.errors import BraketPluginError, DeviceError, NotFoundError
from covalent_braket_plugin.node_log import WaitingForDevice
from covalent_braket_plugin.patience import patiently
from covalent_braket_plugin.pipeline import Context, Prepared
from covalent_braket_plugin.protocol import Task
from covalent_braket_plugin.threads import in_thread, uploading

__all__ = ["CancelledBeforeError", "OnDevice", "on_device"]

log = logging.getLogger(__name__)


class CancelledBeforeError(Exception):
    """The task was cancelled before it became a job."""


class OnDevice:
    """An electron with a device, for which its job is made.

    Args:
        make: Settles the settings.
        picker: Picks the device.
        waiting: Tells what it waits for.
    """

    def __init__(self, make: NewWorkMaker, picker: Picker, waiting: WaitingForDevice) -> None:
        self._make = make
        self._picker = picker
        self._waiting = waiting

    @property
    def chosen(self) -> Chosen:
        """The device."""
        return self._picker.chosen

    @property
    def instead(self) -> str:
        """Why the device is not the one that was wanted, a sentence; empty if it is."""
        got = self.chosen
        return f"Ran on {got.arn} instead of {got.wanted}: {got.why}." if got.why else ""

    def make(self, *, may_start: bool) -> Context:
        """Settle the settings, with this device."""
        return self._make(may_start=may_start, device=self.chosen)

    async def pick(self) -> None:
        """Find a device, and wait for it if that is wanted.

        Raises:
            CancelledBeforeError: The electron was cancelled meanwhile.
            BraketPluginError: It gets none.
        """
        chosen = await self._picker.pick()
        if chosen is None:
            raise CancelledBeforeError
        await self._waiting.over(chosen)

    async def again(
        self,
        ctx: Context,
        task: Task,
        prepared: Prepared,
        withdrawn: asyncio.Event,
        error: DeviceError,
    ) -> tuple[Context, Prepared]:
        """Find a device after CreateJob has refused this one, and ready the task for it.

        Args:
            ctx: The settings that it was uploaded with.
            task: What the job is for.
            prepared: The task in S3, which serves the other device too.
            withdrawn: Set if the electron is cancelled.
            error: How CreateJob refused.

        Raises:
            CancelledBeforeError: The electron was cancelled meanwhile.
            BraketPluginError: It gets none; nothing of it is left in S3.
        """

        def prepare() -> tuple[Context, Prepared | None]:
            ctx = self.make(may_start=False)
            return ctx, pipeline.prepare_for_device(ctx, prepared, task)

        try:
            await self._pick_again(error)
            what = f"{task.name} is not ready for another device yet"
            ctx, again = await patiently(
                lambda: uploading(prepare), what, ctx.settings.give_up_after, enough=withdrawn
            )
        except (BraketPluginError, CancelledBeforeError):
            await in_thread(pipeline.discard, ctx, prepared.keys)
            raise
        if again is None:
            uri = prepared.keys.uri(prepared.keys.payload)
            raise NotFoundError(f"{uri} is not there any more") from error
        return ctx, again

    async def _pick_again(self, error: DeviceError) -> None:
        self._picker.refused(error)
        log.warning("%s Looking for a device again.", error)
        await self.pick()


async def on_device(
    make: NewWorkMaker, ctx: Context, task: Task, withdrawn: asyncio.Event
) -> OnDevice:
    """Find the device for a job that is to be made.

    Args:
        make: Settles the settings.
        ctx: The settings in force; names of devices are looked up if that was not done.
        task: What the job is for.
        withdrawn: Set if the electron is cancelled.

    Raises:
        CancelledBeforeError: It was cancelled while it waited for a device.
        BraketPluginError: It gets none; nothing was uploaded.
    """
    ctx = await uploading(_checked, ctx)
    clients, settings = ctx.jobs.clients, ctx.settings
    wanted = settings.quantum_device

    async def ask(arn: str) -> DeviceState | None:
        def describe() -> DeviceState | None:
            device = Chosen(arn, wanted, clients.region)
            return catalogue.describe(make(may_start=True, device=device).jobs.clients, arn)

        async def paced() -> DeviceState | None:
            await shared.limits(clients).pace("GetDevice").turn()
            return await uploading(describe)

        what = f"Whether {arn} can be used is not known yet"
        return await patiently(paced, what, settings.give_up_after)

    waiting = WaitingForDevice(task.dispatch_id, task.node_id, task.name)
    picker = Picker(settings, clients.region, shared.lookout(clients), ask, waiting.told, withdrawn)
    way = OnDevice(make, picker, waiting)
    await way.pick()
    return way


def _checked(ctx: Context) -> Context:
    ctx = replace(ctx, settings=catalogue.located(ctx.settings))
    pipeline.check_devices(ctx)
    return ctx
