"""
HTTP to a server on this machine, for many small requests one after another: a fraction of the work of a client that can do everything.

Plain POST over connections that stay open. There is no proxy, no encryption, no redirection on the way to a server of this machine.

Source: RFC 9112.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from urllib.parse import urlsplit, urlunsplit

MAX_HEAD_BYTES = 1 << 16
"""Longest head of an answer [bytes]."""
_FINAL = 200
_NO_CONTENT = (204, 304)


class BrokenTalkError(Exception):
    """The server is away, went away, or does not speak HTTP."""


class LocalHttp:
    """
    Connections to one server.

    Args:
        url: Where requests go, `http://`.
        headers: What every request says.
    """

    def __init__(self, url: str, headers: Mapping[str, str]) -> None:
        parts = urlsplit(url)
        assert parts.hostname is not None
        self._host, self._port = parts.hostname, parts.port or 80
        target = urlunsplit(("", "", parts.path or "/", parts.query, ""))
        lines = [f"POST {target} HTTP/1.1", f"host: {parts.netloc}", *(f"{name}: {value}" for name, value in headers.items())]
        self._head = "\r\n".join([*lines, "content-length: "]).encode()
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def post(self, body: bytes) -> tuple[int, bytes]:
        """
        Send a request.

        Args:
            body: Its body.

        Returns:
            The answer's status and body.

        Raises:
            BrokenTalkError: There is no answer.
        """
        try:
            reader, writer = await self._connection()
            try:
                writer.write(b"%b%d\r\n\r\n%b" % (self._head, len(body), body))
                await writer.drain()
                status, content, stays_open = await _answer(reader)
            except BaseException:
                writer.transport.abort()
                raise
        except (OSError, EOFError, ValueError, asyncio.LimitOverrunError) as error:
            raise BrokenTalkError(type(error).__name__) from None
        if stays_open:
            self._idle.append((reader, writer))
        else:
            writer.transport.abort()
        return status, content

    def close(self) -> None:
        """Close the connections that nobody uses now."""
        for _, writer in self._idle:
            writer.transport.abort()
        self._idle.clear()

    async def _connection(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Take a connection that is still good, the one used last, or open one."""
        while self._idle:
            reader, writer = self._idle.pop()
            if not reader.at_eof() and not writer.transport.is_closing():
                return reader, writer
            writer.transport.abort()
        return await asyncio.open_connection(self._host, self._port, limit=MAX_HEAD_BYTES)


async def _answer(reader: asyncio.StreamReader) -> tuple[int, bytes, bool]:
    """Read an answer: status, body, and whether the connection can be used again. Raises `ValueError` when it is none."""
    status, headers, is_old = 0, dict[str, str](), False
    while status < _FINAL:  # what comes before the final answer is of no interest
        lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        version, _, rest = lines[0].partition(" ")
        if not version.startswith("HTTP/1."):
            raise ValueError(version)
        status, is_old = int(rest[:3]), version == "HTTP/1.0"
        headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:] if line)}
    stays_open = not is_old and headers.get("connection", "").lower() != "close"
    if status in _NO_CONTENT:
        return status, b"", stays_open
    if headers.get("transfer-encoding", "").lower() == "chunked":
        return status, await _chunks(reader), stays_open
    if (length := headers.get("content-length")) is not None:
        if not (length.isascii() and length.isdigit()):
            raise ValueError(length)
        return status, await reader.readexactly(int(length)), stays_open
    return status, await reader.read(-1), False


async def _chunks(reader: asyncio.StreamReader) -> bytes:
    parts: list[bytes] = []
    while size := int((await reader.readuntil(b"\r\n")).partition(b";")[0].strip(), 16):
        parts.append(await reader.readexactly(size))
        await reader.readuntil(b"\r\n")
    while await reader.readuntil(b"\r\n") != b"\r\n":
        pass
    return b"".join(parts)
