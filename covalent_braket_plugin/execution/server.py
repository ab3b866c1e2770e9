"""What Covalent's server knows of executions, asked over HTTP."""

from __future__ import annotations

import http.client
import itertools
import json
import os
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from typing import Any

from covalent_braket_plugin.errors import NoServerError, UnknownJobError
from covalent_braket_plugin.settings.config_file import server_address

__all__ = ["Server"]

ANSWER_SECONDS = 30.0
PAGE = 99
"""Covalent lists no more at a time."""

_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))
"""The server is asked on this machine or in this network, not through a proxy."""


class Server:
    """A Covalent server.

    Args:
        url: Where it answers; as Covalent's configuration and environment say if not given.

    Attributes:
        url: Where it answers.
    """

    def __init__(self, url: str | None = None) -> None:
        self.url = url.rstrip("/") if url else "http://{}:{}".format(*server_address(os.environ))

    def require(self) -> None:
        """See that it answers.

        Raises:
            NoServerError: It does not.
        """
        self._get("/api/v1/dispatches/overview")

    def manifest(self, dispatch_id: str) -> dict[str, Any]:
        """Tell all about a dispatch: its status, its electrons, where their results are.

        Raises:
            UnknownJobError: It does not know the dispatch.
            NoServerError: It does not answer.
        """
        found: dict[str, Any] = self._get(f"/api/v2/dispatches/{_quoted(dispatch_id)}")
        return found

    def live(self, dispatch_id: str) -> dict[str, Any]:
        """Tell what the live page shows: phases and jobs of the electrons.

        Raises:
            UnknownJobError: It does not know the dispatch.
            NoServerError: It does not answer, or has no live page.
        """
        found: dict[str, Any] = self._get(f"/braket/api/dispatches/{_quoted(dispatch_id)}")
        return found

    def listed(self, mark: str, search: str = "") -> Iterator[dict[str, Any]]:
        """List dispatches of workflows whose name begins with a mark, the newest first.

        Args:
            mark: How the name begins.
            search: Only those whose id begins so.

        Raises:
            NoServerError: It does not answer.
        """
        # Covalent's search finds a text anywhere in a name or an id: the rest is passed over.
        query = {"count": PAGE, "sort_by": "started_at", "search": search or mark}
        for offset in itertools.count(0, PAGE):
            asked = urllib.parse.urlencode({**query, "offset": offset})
            page = self._get(f"/api/v1/dispatches/list?{asked}")["items"]
            for each in page:
                named = str(each["lattice_name"]).startswith(mark)
                if named and str(each["dispatch_id"]).startswith(search):
                    yield each
            if len(page) < PAGE:
                return

    def _get(self, path: str) -> Any:
        try:
            with _DIRECT.open(self.url + path, timeout=ANSWER_SECONDS) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            if error.code == 404:
                raise UnknownJobError(
                    f"Covalent's server at {self.url} knows no such execution."
                ) from error
            raise NoServerError(
                f"Covalent's server at {self.url} answers HTTP {error.code}: its log says why."
            ) from error
        except (OSError, http.client.HTTPException) as error:
            raise NoServerError(
                f"Covalent's server does not answer at {self.url} ({_reason(error)}). "
                "Start it with: covalent start. If it runs elsewhere: `dispatcher.address` and "
                "`dispatcher.port` in Covalent's configuration say where it is asked."
            ) from error
        except ValueError as error:
            raise NoServerError(
                f"What answers at {self.url} is not the Covalent server that is needed, or its "
                "live page is off (`repair_ui`)."
            ) from error


def _quoted(text: str) -> str:
    return urllib.parse.quote(text, safe="")


def _reason(error: Exception) -> object:
    return getattr(error, "reason", error)
