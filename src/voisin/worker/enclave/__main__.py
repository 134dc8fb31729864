"""
The program of a process that plays an enclave: says its key, takes one order, carries it out, and ends.

It is started by `voisin.worker.enclave.outside` and is of no use alone. When its worker is gone it ends at once, and with it the app.
"""

from __future__ import annotations

import os
import secrets
import sys
import threading
from pathlib import Path
from typing import BinaryIO

import anyio
import msgspec

from voisin.protocol.codec import encode
from voisin.protocol.sessions import SessionKey
from voisin.protocol.wire_words import Stream
from voisin.sandbox import Sandbox
from voisin.worker.enclave.inside import carry_out
from voisin.worker.enclave.words import LENGTH, Begun, Finished, FromEnclave, Order, Output, Refused

ORPHANED = 3


class Worker:
    """The worker, on the other end of the pipes."""

    def __init__(self, source: BinaryIO, sink: BinaryIO) -> None:
        self._source = source
        self._sink = sink

    def take_order(self) -> Order | None:
        """Wait for the order; None when the worker is gone."""
        head = self._source.read(LENGTH.size)
        if len(head) < LENGTH.size:
            return None
        body = self._source.read(LENGTH.unpack(head)[0])
        return msgspec.json.decode(body, type=Order)

    def say(self, message: FromEnclave) -> None:
        """Send a message."""
        body = encode(message)
        self._sink.write(LENGTH.pack(len(body)) + body)
        self._sink.flush()

    def end_with_it(self) -> None:
        """End this process as soon as the worker is gone."""

        def watch() -> None:
            self._source.read(1)
            os._exit(ORPHANED)

        threading.Thread(target=watch, daemon=True).start()


async def _carry_out(order: Order, key: SessionKey, worker: Worker) -> Finished | Refused:
    def tell(stream: Stream, data: bytes) -> None:
        worker.say(Output(stream, data))

    async with Sandbox(Path(order.cache_dir), slots=1, scratch_dir=Path(order.scratch_dir)) as sandbox:
        return await carry_out(order, key, lambda: sandbox, tell)


def main() -> None:
    """Be an enclave for one task."""
    worker = Worker(sys.stdin.buffer, sys.stdout.buffer)
    key = SessionKey(secrets.token_bytes)
    worker.say(Begun(key.public))
    order = worker.take_order()
    if order is not None:
        worker.end_with_it()
        worker.say(anyio.run(_carry_out, order, key, worker))


if __name__ == "__main__":
    main()
