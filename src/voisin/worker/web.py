"""
Fetching inputs from the web for requesters, without going where only this machine may go.

A requester could name an address of this machine or of the network behind it. So a name is resolved here, every address that it has
must be one of the public internet, and the connection goes to the address that was looked at; redirects are followed by hand and
looked at likewise. No proxy of the environment is used.
"""

from __future__ import annotations

import ipaddress
import socket
import ssl
from collections.abc import Iterable
from pathlib import Path
from typing import Final
from urllib.parse import urljoin, urlsplit

import anyio
import httpcore

from voisin.errors import InputError, UnavailableError

MAX_REDIRECTS: Final = 5
MAX_URL_CHARS: Final = 2_048
CONNECT_S: Final = 10.0
SILENCE_S: Final = 30.0
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_HEADERS = [("accept", "*/*"), ("accept-encoding", "identity"), ("user-agent", "voisin")]


class PublicWeb:
    """
    The web; see `voisin.worker.ports.Web`.

    Args:
        fetch_s: How long one file may take [s].
        allow_private: Whether files may also lie on this machine and in its own network.
    """

    def __init__(self, *, fetch_s: float, allow_private: bool = False) -> None:
        self._fetch_s = fetch_s
        self._allow_private = allow_private

    async def fetch(self, url: str, path: Path, *, max_bytes: int) -> int:
        """
        Fetch a file; answers its size [bytes].

        Raises:
            InputError: The address is none that a worker goes to, or there are more bytes.
            UnavailableError: It is not there, or takes too long.
        """
        try:
            with anyio.fail_after(self._fetch_s):
                async with httpcore.AsyncConnectionPool(
                    ssl_context=ssl.create_default_context(), network_backend=_Guarded(allow_private=self._allow_private), max_connections=1
                ) as pool:
                    for _ in range(MAX_REDIRECTS + 1):
                        check_url(url)
                        size, onward = await self._get(pool, url, path, max_bytes)
                        if onward is None:
                            return size
                        url = urljoin(url, onward)
        except TimeoutError:
            raise UnavailableError(f"{_short(url)} took longer than {self._fetch_s:g} s") from None
        except (httpcore.NetworkError, httpcore.TimeoutException, httpcore.ProtocolError, OSError) as error:
            raise UnavailableError(f"{_short(url)} cannot be fetched: {type(error).__name__}") from None
        raise UnavailableError(f"{_short(url)} leads on more than {MAX_REDIRECTS} times")

    async def _get(self, pool: httpcore.AsyncConnectionPool, url: str, path: Path, max_bytes: int) -> tuple[int, str | None]:
        """Ask once; answers the size of what came, or where it leads on to."""
        timeouts = {"connect": CONNECT_S, "read": SILENCE_S, "write": SILENCE_S, "pool": CONNECT_S}
        async with pool.stream("GET", url, headers=_HEADERS, extensions={"timeout": timeouts}) as answer:
            if answer.status in _REDIRECTS:
                onward = next((value for name, value in answer.headers if name.lower() == b"location"), b"")
                return 0, onward.decode(errors="replace")
            if answer.status != 200:
                raise UnavailableError(f"{_short(url)} answers {answer.status}")
            size = 0
            with path.open("wb") as file:
                async for chunk in answer.aiter_stream():
                    size += len(chunk)
                    if size > max_bytes:
                        raise InputError(f"{_short(url)} is larger than {max_bytes} bytes")
                    await anyio.to_thread.run_sync(file.write, chunk)
            return size, None


def check_url(url: str) -> None:
    """
    Refuse what no worker goes to, as far as the address alone tells.

    Raises:
        InputError: It is no `http://` or `https://` address, holds a password, or is too long.
    """
    try:
        parts = urlsplit(url)
        is_web = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_web = False
    if not is_web or len(url) > MAX_URL_CHARS or not url.isascii() or any(ord(letter) <= 32 for letter in url):
        raise InputError(f"{_short(url)} is no address that a worker fetches")
    if parts.username is not None or parts.password is not None:
        raise InputError("an input's address holds a name or password, which everybody could read on the chain")


async def require_public(url: str) -> None:
    """
    Refuse an address that leads to this machine or into its own network.

    Raises:
        InputError: It does, or it is none that a worker goes to.
        UnavailableError: Its name is not known.
    """
    check_url(url)
    parts = urlsplit(url)
    try:
        found = await anyio.getaddrinfo(parts.hostname, parts.port or parts.scheme, type=socket.SOCK_STREAM)
    except OSError as error:
        raise UnavailableError(f"{_short(url)} is not known: {error.strerror}") from None
    if not all(is_public(str(place[4][0])) for place in found):
        raise InputError(f"{_short(url)} is not on the public web", hint="setting allow_private_web of the worker")


def is_public(address: str) -> bool:
    """Tell whether an IP address is one of the public internet; what is embedded in an IPv6 address counts, too."""
    ip = ipaddress.ip_address(address)
    if isinstance(ip, ipaddress.IPv6Address):
        embedded = ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None)
        if embedded is not None:
            return embedded.is_global and not embedded.is_multicast
        if ip in _NAT64:
            return is_public(str(ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)))
    return ip.is_global and not ip.is_multicast


_NAT64: Final = ipaddress.ip_network("64:ff9b::/96")


class _Guarded(httpcore.AsyncNetworkBackend):
    """Connects to public addresses only, and to the very address that was looked at."""

    def __init__(self, *, allow_private: bool) -> None:
        self._allow_private = allow_private
        self._network = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Connect."""
        found = await anyio.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        addresses = list(dict.fromkeys(str(place[4][0]) for place in found))
        if not self._allow_private and not all(is_public(address) for address in addresses):
            raise InputError(f"{host[:200]} is not on the public web", hint="setting allow_private_web of the worker")
        return await self._network.connect_tcp(addresses[0], port, timeout, local_address, socket_options)


def _short(url: str) -> str:
    return repr(url[:200])
