"""The owner's end of the socket in a worker's folder."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

from voisin.errors import FundsError, InputError, StateError, TrustError, UnavailableError, VoisinError
from voisin.protocol.codec import encode
from voisin.worker.life.control import require_own, socket_path
from voisin.worker.life.words import Answer, Ask, Declined, decode_answer

ANSWER_S = 120.0
"""How long a worker may take for an answer: a withdrawal waits for the chain [s]."""
_KINDS: tuple[type[VoisinError], ...] = (FundsError, InputError, StateError, TrustError, UnavailableError)


def is_running(folder: Path) -> bool:
    """Tell whether a worker runs in a folder."""
    try:
        with _connect(folder):
            return True
    except StateError:
        return False


def converse(folder: Path, ask: Ask) -> Iterator[Answer]:
    """
    Say something to the worker of a folder, and hear all that it answers.

    Raises:
        StateError: None runs there.
        TrustError: It belongs to another user.
        UnavailableError: It does not answer.
        VoisinError: It declines; what it says.
    """
    with _connect(folder) as peer, peer.makefile("rb") as answers:
        peer.sendall(encode(ask) + b"\n")
        try:
            for line in answers:
                answer = decode_answer(line)
                if isinstance(answer, Declined):
                    raise _error(answer)
                yield answer
        except TimeoutError:
            raise UnavailableError(f"the worker in {folder} does not answer", hint="look at its log") from None


def _connect(folder: Path) -> socket.socket:
    peer = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        peer.settimeout(ANSWER_S)
        with socket_path(folder) as path:
            peer.connect(path)
        require_own(peer)
    except (FileNotFoundError, ConnectionRefusedError, NotADirectoryError):
        peer.close()
        raise StateError(f"no worker runs in {folder}", hint="start it with `voisin worker join`, or name another with --folder") from None
    except PermissionError:
        peer.close()
        raise TrustError(f"the worker in {folder} belongs to another user", hint="become that user") from None
    except BaseException:
        peer.close()
        raise
    return peer


def _error(declined: Declined) -> VoisinError:
    kind = next((kind for kind in _KINDS if kind.code == declined.code), StateError)
    return kind(declined.message, hint=declined.hint)
