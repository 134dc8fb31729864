"""
Posting alerts to an address that the owner names.

The address is not ours: nothing is sent but the alert, no redirect is followed, no answer is read, and no wait is without end. The address
may hold a secret of its own, as those of chat services do, so that it is never in a message; only its host is.
"""

from __future__ import annotations

import ipaddress
from types import TracebackType
from typing import Final
from urllib.parse import urlsplit

import httpx

from voisin.client.data.alerting import Alert
from voisin.errors import InputError, UnavailableError
from voisin.protocol.codec import encode

_TIMEOUT_S: Final = 10.0
_MAX_URL: Final = 2_048


class Webhook:
    """Where alerts go. Use it as an async context manager."""

    def __init__(self, url: str, *, transport: httpx.AsyncBaseTransport | None = None) -> None:
        """
        Args:
            url: The address.
            transport: What carries the requests; the network unless given.

        Raises:
            InputError: It is no `https://` address; `http://` is taken for this machine alone.
        """
        self._url = url
        self.host = host_of(url)
        self._http = httpx.AsyncClient(timeout=_TIMEOUT_S, follow_redirects=False, trust_env=False, transport=transport)

    async def __aenter__(self) -> Webhook:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self._http.aclose()

    async def post(self, alert: Alert) -> None:
        """
        Post an alert.

        Raises:
            UnavailableError: It did not arrive; the message says why, without the address.
        """
        try:
            request = self._http.stream("POST", self._url, content=encode(alert), headers={"content-type": "application/json"})
            async with request as response:  # the answer's body is not read
                status = response.status_code
        except (httpx.HTTPError, httpx.InvalidURL, UnicodeError) as error:
            raise UnavailableError(f"the webhook at {self.host} does not answer ({type(error).__name__})", hint="alerts are kept") from None
        if 300 <= status < 400:
            raise UnavailableError(f"the webhook at {self.host} points elsewhere ({status})", hint="name the address where it ends")
        if not 200 <= status < 300:
            raise UnavailableError(f"the webhook at {self.host} answers {status}", hint="alerts are kept, and sent again")

    def __repr__(self) -> str:
        return f"Webhook({self.host})"


def host_of(url: str) -> str:
    """
    Check the address of a webhook, and name its host.

    Raises:
        InputError: As for `Webhook`.
    """
    refused = InputError("the webhook is no address", hint="for example https://alerts.example/voisin")
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        raise refused from None
    if parts.scheme not in ("http", "https") or not host or len(url) > _MAX_URL or not url.isascii() or not url.isprintable() or " " in url:
        raise refused
    if parts.username is not None:
        raise InputError("the webhook's address names a user", hint="put its token into the path")
    if parts.scheme == "http" and not _is_here(host):
        raise InputError(f"the webhook at {host} would get alerts unencrypted", hint="use https://; http:// is for this machine alone")
    return host


def _is_here(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
