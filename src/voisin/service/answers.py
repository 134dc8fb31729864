"""An answer over HTTP, as plain values."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus

JSON = b"application/json"


@dataclass(frozen=True, slots=True)
class Answer:
    """What is sent: a status, a body, and of what type it is."""

    body: bytes
    status: int = HTTPStatus.OK
    media_type: bytes = JSON
