"""
The program of a sandbox process: takes requests from its parent over the socket that is its standard input, one after another.

It is started by `voisin.sandbox.process` and is of no use alone. It imports nothing of Voisin outside of this package's light modules.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import socket
import sys
import time
from dataclasses import replace
from pathlib import Path

from voisin.sandbox import confine
from voisin.sandbox.engine import BadModuleError, Machine, StaleModuleError
from voisin.sandbox.job import Cause
from voisin.sandbox.wire import (
    COMPILED_NAME,
    FILES_PER_MESSAGE,
    LENGTH,
    REQUESTS,
    SERIES_BYTES,
    SERIES_S,
    SHORT_CONTENTS,
    Answer,
    Broken,
    Compile,
    Compiled,
    OtherHash,
    Ran,
    Ready,
    Request,
    Run,
    RunSeries,
    Short,
    Stale,
    Started,
    encode,
    one_line,
)


class Parent:
    """The other end of the socket."""

    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel

    def receive(self) -> Request | None:
        """
        Wait for the next request.

        Returns:
            The request; None when the parent is gone.
        """
        head = self._exactly(LENGTH.size)
        if head is None:
            return None
        body = self._exactly(LENGTH.unpack(head)[0])
        if body is None:
            return None
        fields = json.loads(body)
        return REQUESTS[fields.pop("kind")](**fields)

    def receive_files(self, count: int) -> list[int]:
        """
        Take the descriptors that follow a request.

        Args:
            count: How many there are.

        Returns:
            The open files, in the parent's order.
        """
        files: list[int] = []
        while len(files) < count:
            mark, received, _, _ = socket.recv_fds(self._channel, 1, FILES_PER_MESSAGE)
            if not mark or not received:
                raise EOFError("the parent sent fewer files than it said")
            files += received
        return files

    def send(self, answer: Answer) -> None:
        """
        Send an answer.

        Args:
            answer: What came of a request.
        """
        self._channel.sendall(encode(answer))

    def _exactly(self, size: int) -> bytes | None:
        data = bytearray()
        while len(data) < size:
            part = self._channel.recv(size - len(data))
            if not part:
                return None
            data += part
        return bytes(data)


def _compile(request: Compile, parent: Parent) -> Answer:
    (descriptor,) = parent.receive_files(1)
    confine.allow_compile()
    with os.fdopen(descriptor, "rb") as file:
        wasm = file.read()
    if hashlib.sha256(wasm).hexdigest() != request.module_sha256:
        return OtherHash()
    try:
        compiled = Machine(canonical_nan=request.canonical_nan).compile(wasm)
    except BadModuleError as error:
        return Compiled(str(error))
    Path(COMPILED_NAME).write_bytes(compiled)
    return Compiled()


def _run(request: Run, parent: Parent, machines: dict[bool, Machine]) -> Answer:
    inputs = parent.receive_files(len(request.inputs))
    try:
        confine.allow_run(file_bytes=max(request.output_bytes, request.log_bytes), time_s=request.time_s)
        return _machine(request, machines).run(request, inputs, Path.cwd(), on_start=lambda: parent.send(Started()))
    except StaleModuleError as error:
        return Stale(str(error))
    finally:
        for descriptor in inputs:
            os.close(descriptor)


def _run_series(request: RunSeries, parent: Parent, machines: dict[bool, Machine]) -> Answer:
    """Run a series until a guest fails, the first pause is due, or the end."""
    shared = Run(**request.run)  # type: ignore[arg-type]  # the parent writes what `Run` has
    inputs = parent.receive_files(len(shared.inputs))
    runs: list[Short] = []
    began, size = time.monotonic(), 0
    try:
        confine.allow_run(file_bytes=max(shared.output_bytes, shared.log_bytes), time_s=shared.time_s + SERIES_S)
        machine = _machine(shared, machines)
        contents = Path.cwd() / SHORT_CONTENTS
        contents.mkdir(exist_ok=True)
        for args, env, seed_hex in request.turns:
            run = replace(shared, args=tuple(args), env={**shared.env, **env}, seed_hex=seed_hex)
            runs.append(short := machine.run_short(run, inputs, contents))
            size += len(short.stdout) + len(short.stderr) + sum(map(len, short.files.values()))
            if short.cause not in ("", Cause.EXIT_CODE) or size > SERIES_BYTES or time.monotonic() - began > SERIES_S:
                break
    except StaleModuleError as error:
        return Stale(str(error))
    finally:
        for descriptor in inputs:
            os.close(descriptor)
    return Ran(tuple(runs), time.monotonic() - began)


def _machine(run: Run, machines: dict[bool, Machine]) -> Machine:
    if run.canonical_nan not in machines:
        machines[run.canonical_nan] = Machine(canonical_nan=run.canonical_nan)
    return machines[run.canonical_nan]


def _answer(request: Request, parent: Parent, machines: dict[bool, Machine]) -> Answer:
    match request:
        case Compile():
            return _compile(request, parent)
        case RunSeries():
            return _run_series(request, parent, machines)
        case Run():
            return _run(request, parent, machines)


def main() -> None:
    """Serve requests until the parent closes the socket."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a person's Ctrl-C is for the parent, which ends us as it sees fit
    compiled_folder = Path(sys.argv[1]) if len(sys.argv) > 1 else None
    parent = Parent(socket.socket(fileno=os.dup(0)))
    machines: dict[bool, Machine] = {}
    layers = confine.enter(compiled_folder)
    parent.send(Ready(layers))
    while (request := parent.receive()) is not None:
        try:
            answer = _answer(request, parent, machines)
        except Exception as error:  # noqa: BLE001  the top of the service loop: the parent gets to know and replaces us
            answer = Broken(one_line(f"{type(error).__name__}: {error}"))
        parent.send(answer)


if __name__ == "__main__":
    main()
