"""Inputs from the web: never from this machine or its own network, however the address is dressed up, and never more than allowed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from voisin.errors import InputError, UnavailableError
from voisin.service.serving import serve_app
from voisin.worker.web import PublicWeb, check_url, is_public

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("93.184.216.34", True),
        ("2606:2800:220:1:248:1893:25c8:1946", True),
        ("127.0.0.1", False),
        ("127.8.8.8", False),
        ("0.0.0.0", False),
        ("10.1.2.3", False),
        ("172.16.0.1", False),
        ("192.168.1.1", False),
        ("169.254.169.254", False),
        ("100.64.0.1", False),
        ("224.0.0.1", False),
        ("255.255.255.255", False),
        ("::1", False),
        ("::", False),
        ("fe80::1", False),
        ("fc00::1", False),
        ("ff02::1", False),
        ("::ffff:127.0.0.1", False),
        ("::ffff:10.0.0.1", False),
        ("64:ff9b::7f00:1", False),
        ("64:ff9b::a9fe:a9fe", False),
        ("2002:7f00:1::", False),
    ],
)
def test_addresses(address: str, public: bool) -> None:
    assert is_public(address) is public


@pytest.mark.parametrize(
    "url",
    [
        "", "ftp://example.org/x", "file:///etc/passwd", "http://", "http:///x", "https://user:word@example.org/", "http://user@example.org/",
        "http://example.org/a b", "http://example.org/\n", "http://exämple.org/", "http://example.org:99999/",
        "http://[::1/", "//example.org/x",        "http://example.org/" + "x" * 3_000,
    ],
)  # fmt: skip
def test_urls_that_no_worker_goes_to(url: str) -> None:
    with pytest.raises(InputError):
        check_url(url)


Receive, Send = Callable[[], Awaitable[dict[str, Any]]], Callable[[dict[str, Any]], Awaitable[None]]


async def site(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    """Serve `/file`, `/large`, `/silent`, `/missing`, and `/to/<place>`, which leads on."""
    if scope["type"] == "lifespan":
        for step in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{step}.complete"})
        return
    path = scope["path"]
    headers = [(b"location", path.removeprefix("/to/").encode())] if path.startswith("/to/") else []
    status = 302 if headers else 404 if path == "/missing" else 200
    if path == "/silent":
        while (await receive())["type"] != "http.disconnect":
            pass
        return
    await send({"type": "http.response.start", "status": status, "headers": headers})
    for _ in range(10 if path == "/large" else 1):
        await send({"type": "http.response.body", "body": b"0123456789", "more_body": True})
    await send({"type": "http.response.body", "body": b""})


@asynccontextmanager
async def served() -> AsyncIterator[str]:
    async with serve_app(site) as url:  # type: ignore[arg-type]
        yield url


async def fetch(url: str, target: Path, *, private: bool, fetch_s: float = 20, max_bytes: int = 50) -> int:
    return await PublicWeb(fetch_s=fetch_s, allow_private=private).fetch(url, target, max_bytes=max_bytes)


async def test_this_machine_is_not_the_web(tmp_path: Path) -> None:
    async with served() as url:
        for name in (url, url.replace("127.0.0.1", "localhost"), url.replace("127.0.0.1", "0x7f000001"), url.replace("127.0.0.1", "127.1")):
            with pytest.raises((InputError, UnavailableError)) as refused:
                await fetch(f"{name}/file", tmp_path / "x", private=False)
            assert "not on the public web" in str(refused.value) or isinstance(refused.value, UnavailableError)
        assert not (tmp_path / "x").exists()
        assert await fetch(f"{url}/file", tmp_path / "x", private=True) == 10
        assert (tmp_path / "x").read_bytes() == b"0123456789"


async def test_redirects_are_followed_a_few_times(tmp_path: Path) -> None:
    async with served() as url:
        assert await fetch(f"{url}/to//file", tmp_path / "x", private=True) == 10
        with pytest.raises(UnavailableError, match="leads on more than"):
            await fetch(f"{url}/to//to//to//to//to//to//to//file", tmp_path / "x", private=True)
        with pytest.raises(InputError, match="no address"):
            await fetch(f"{url}/to/file:///etc/passwd", tmp_path / "x", private=True)


async def test_limits(tmp_path: Path) -> None:
    async with served() as url:
        with pytest.raises(InputError, match="larger than 50 bytes"):
            await fetch(f"{url}/large", tmp_path / "x", private=True)
        with pytest.raises(UnavailableError, match="answers 404"):
            await fetch(f"{url}/missing", tmp_path / "x", private=True)
        with pytest.raises(UnavailableError, match="took longer"):
            await fetch(f"{url}/silent", tmp_path / "x", private=True, fetch_s=0.2)
        with pytest.raises(UnavailableError, match="cannot be fetched"):
            await fetch("http://127.0.0.1:1/", tmp_path / "x", private=True)
