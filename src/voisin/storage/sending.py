"""Handing content out piece by piece, from threads to the loop."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import anyio
import anyio.to_thread

from voisin.protocol.ipld import Name
from voisin.storage.library import Library


async def send(library: Library, name: Name, start: int, stop: int) -> AsyncIterator[bytes]:
    """
    Open a file or blob, and read its first piece: what is wrong with it from the start is known before an answer begins.

    Args:
        library: What is stored.
        name: The file or blob.
        start: The first byte.
        stop: The byte after the last.

    Returns:
        Its bytes; a later fault ends them early with an error, so that the length tells.

    Raises:
        VoisinError: As `Library.stream` does.
    """
    pieces = _pieces(library.stream(name, start, stop))
    await anext(pieces)  # an empty one; from here on the content is held until the generator ends, even if nobody reads from it
    return pieces


async def _pieces(source: Iterator[bytes]) -> AsyncIterator[bytes]:
    try:
        piece = await anyio.to_thread.run_sync(next, source, None)
        yield b""
        while piece is not None:
            yield piece
            piece = await anyio.to_thread.run_sync(next, source, None)
    finally:
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(_close, source)


def _close(source: Iterator[bytes]) -> None:
    close = getattr(source, "close", None)
    if close is not None:
        close()
