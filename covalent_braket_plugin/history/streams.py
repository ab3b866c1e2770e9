"""An object in S3, read from its beginning as far as it is needed."""

from __future__ import annotations

import io
from typing import Any

from covalent_braket_plugin.aws import Clients, translated
from covalent_braket_plugin.errors import UnreachableError

__all__ = ["ObjectStream"]

ATTEMPTS = 3


class ObjectStream(io.RawIOBase):
    """Reads an object with one GetObject; goes on where it was if the connection breaks.

    Args:
        clients: Makes the calls.
        bucket: The bucket.
        key: The object.

    Raises:
        NotFoundError: There is no such object.
        AwsError: S3 refused or did not answer.
    """

    def __init__(self, clients: Clients, bucket: str, key: str) -> None:
        super().__init__()
        self._s3 = clients.s3
        self._where = {"Bucket": bucket, "Key": key}
        self._at = 0
        self._body: Any = None
        self._same: dict[str, str] = {}
        with translated("GetObject"):
            answer = self._open()
        self.size = int(answer["ContentLength"])
        self._same = {"IfMatch": answer["ETag"]}

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read on.

        Raises:
            AwsError: S3 does not answer any more, or has another object there by now.
        """
        for attempt in range(1, ATTEMPTS + 1):
            try:
                with translated("GetObject"):
                    if self._body is None:
                        self._open()
                    data: bytes = self._body.read(len(buffer))
                    buffer[: len(data)] = data
                    self._at += len(data)
                    return len(data)
            except UnreachableError:
                self._drop()
                if attempt == ATTEMPTS:
                    raise
        raise AssertionError("unreachable")

    def close(self) -> None:
        """Read no more: what was not read is not sent either."""
        self._drop()
        super().close()

    def _open(self) -> dict[str, Any]:
        if self._at and self._at >= self.size:
            self._body = io.BytesIO()
            return {}
        rest = {"Range": f"bytes={self._at}-"} if self._at else {}
        answer: dict[str, Any] = self._s3.get_object(**self._where, **self._same, **rest)
        self._body = answer["Body"]
        return answer

    def _drop(self) -> None:
        if self._body is not None:
            self._body.close()
            self._body = None
