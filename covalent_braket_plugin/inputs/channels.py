"""The setting `input_data`, from what users wrote to what a job gets."""

from __future__ import annotations

import contextlib
import mimetypes
from collections.abc import Iterable, Mapping

from covalent_braket_plugin.errors import NotFoundError, SettingError
from covalent_braket_plugin.inputs import uploads
from covalent_braket_plugin.inputs.contents import Content, content_of, found_at
from covalent_braket_plugin.inputs.places import Place
from covalent_braket_plugin.inputs.progress import Progress, Tell, silent
from covalent_braket_plugin.inputs.remote import uri_of
from covalent_braket_plugin.inputs.uploads import ChangedError, Target
from covalent_braket_plugin.protocol import InputChannel

__all__ = ["bring", "bring_again", "look"]

ATTEMPTS = 3
"""So often a file that changes while it is uploaded is begun with again."""


def look(given: Mapping[str, str], target: Target) -> None:
    """Refuse what is missing, before anything is sent.

    Args:
        given: The setting `input_data`.
        target: Where local data would go.

    Raises:
        SettingError: A channel's data is not there, cannot be read, or is in another region.
        AwsError: S3 did not answer.
    """
    for place in _places(given):
        if place.is_remote:
            uri_of(place, target.storage, target.service)
        else:
            found_at(place)


def bring(given: Mapping[str, str], target: Target, tell: Tell = silent) -> list[InputChannel]:
    """Have all input data in S3.

    Args:
        given: The setting `input_data`.
        target: Where local data goes.
        tell: Told now and then how far it is.

    Returns:
        The job's channels.

    Raises:
        SettingError: As `look`; or a file does not stop changing.
        AwsError: S3 refused or did not answer.
    """
    return [_brought(place, target, tell) for place in _places(given)]


def bring_again(
    channels: Iterable[InputChannel],
    given: Mapping[str, str],
    target: Target,
    tell: Tell = silent,
) -> None:
    """Have the input data of an earlier attempt in S3, which its next attempt gets too.

    What is not there any more is uploaded again, if it is still the same.

    Args:
        channels: What the earlier attempt had.
        given: The setting `input_data`.
        target: Where it is.
        tell: Told now and then how far it is.

    Raises:
        NotFoundError: It is not there any more, and not here either.
        AwsError: S3 refused or did not answer.
    """
    for channel in channels:
        if channel.content and uploads.standing(target, channel.content) != "fresh":
            _bring_back(channel, given.get(channel.name, ""), target, tell)


def _places(given: Mapping[str, str]) -> list[Place]:
    return [Place(channel, place) for channel, place in given.items()]


def _brought(place: Place, target: Target, tell: Tell) -> InputChannel:
    if place.is_remote:
        uri = uri_of(place, target.storage, target.service)
        return InputChannel(place.channel, uri, content_type=_type(uri))
    for attempt in range(1, ATTEMPTS + 1):
        content = _read(place, tell)
        try:
            _ensure(place, content, target, tell)
        except ChangedError as error:
            if attempt == ATTEMPTS:
                fix = "Wait until it is complete, or give a copy of it."
                raise place.refusal(f"{error}, {ATTEMPTS} times", fix) from error
        else:
            break
    return _channel(place, content, target)


def _read(place: Place, tell: Tell) -> Content:
    size = sum(file.size for file in found_at(place))
    progress = Progress(f"Reading input data {place.channel!r}", size, tell)
    return content_of(place, progress.heard)


def _ensure(place: Place, content: Content, target: Target, tell: Tell) -> None:
    progress = Progress(f"Uploading input data {place.channel!r}", content.size, tell)
    uploads.ensure(target, content, progress.heard)


def _channel(place: Place, content: Content, target: Target) -> InputChannel:
    name = target.name(content)
    inside = content.files[0].found.name if content.single else ""
    uri = target.uri(f"{target.base(name)}/{inside}")
    return InputChannel(place.channel, uri, name, _type(inside))


def _type(name: str) -> str:
    return mimetypes.guess_type(name)[0] or ""


def _bring_back(channel: InputChannel, given: str, target: Target, tell: Tell) -> None:
    place = Place(channel.name, given)
    content: Content | None = None
    if given and not place.is_remote:
        with contextlib.suppress(SettingError):  # it is not there any more
            content = _read(place, tell)
    if content is not None and target.name(content) == channel.content:
        _ensure(place, content, target, tell)
    elif uploads.standing(target, channel.content) == "missing":
        raise NotFoundError(
            f"The input data {channel.name!r} of the attempt before is not in S3 any more "
            f"({channel.uri}), and {given or 'its source'} is not the same any more: dispatch the "
            "workflow again."
        )
