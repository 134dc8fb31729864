"""A body over a service's limit is refused with a problem before it is read, whether it says how long it is or not."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import urlsplit

import anyio
import pytest

from tests.support.services import STRANGE, Services, open_services

HUGE = 10**12
PART = bytes(1 << 16)
MOST_BYTES = 64 << 20
"""What may be on its way through the buffers of both sides before a sender hears that it is not wanted."""
ROUTES = [
    ("market", "POST", "/v1/orders"),
    ("market", "POST", "/apporders"),
    ("vault", "POST", "/v1/sessions"),
    ("index", "PUT", f"/v1/workerpools/{STRANGE['address']}"),
    ("storage", "POST", "/v1/blobs"),
]


@pytest.mark.anyio
async def test_refused_unread(tmp_path: Path) -> None:
    async with open_services(tmp_path) as services:
        for name, method, path in ROUTES:
            with anyio.fail_after(120):
                await _announce(services, name, method, path)
                if name != "storage":  # which takes a gigabyte, if nobody says that more will come
                    await _pour(services, name, method, path)


async def _announce(services: Services, name: str, method: str, path: str) -> None:
    """Say how long the body is, and wait for the answer with hardly any of it sent."""
    head = f"{method} {path}?chainId=31337 HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {HUGE}\r\n\r\n"
    parts = urlsplit(services.urls[name])
    async with await anyio.connect_tcp(parts.hostname or "", parts.port or 0) as stream:
        await stream.send(head.encode() + b"{")
        answer = await stream.receive()
        while b"}" not in answer:
            answer += await stream.receive()
    start, _, body = answer.partition(b"\r\n\r\n")
    assert start.startswith(b"HTTP/1.1 413"), (name, path, answer)
    said = json.loads(body)
    if path.startswith("/v1/"):
        assert (said["status"], said["code"] != "", said["hint"] != "") == (413, True, True), said


async def _pour(services: Services, name: str, method: str, path: str) -> None:
    """Do not say how long the body is, and send until nobody listens."""
    head = f"{method} {path}?chainId=31337 HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n"
    parts, sent = urlsplit(services.urls[name]), 0
    async with await anyio.connect_tcp(parts.hostname or "", parts.port or 0) as stream:
        await stream.send(head.encode())
        try:
            while sent < MOST_BYTES:
                await stream.send(f"{len(PART):x}\r\n".encode() + PART + b"\r\n")
                sent += len(PART)
        except anyio.BrokenResourceError:
            return
    raise AssertionError(f"{name} {path} took {sent} bytes")
