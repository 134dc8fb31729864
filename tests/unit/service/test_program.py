"""A service as a program: its exit code says how it ended, and one line on standard error says why."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator

import pytest

from voisin.errors import InputError, UnavailableError
from voisin.service.pace import YOUNG
from voisin.service.program import run_service


@pytest.fixture(autouse=True)
def memory_as_it_was() -> Iterator[None]:
    """Undo what a service that opened did to the collection of garbage."""
    before = gc.get_threshold()
    yield
    gc.set_threshold(*before)


def test_a_service_that_was_stopped(capsys: pytest.CaptureFixture[str]) -> None:
    seen: list[int] = []

    async def serve(*, ready: Callable[[str], None]) -> None:
        ready("http://127.0.0.1:1")
        seen.append(gc.get_threshold()[0])

    assert run_service(lambda: serve) == 0
    assert seen == [YOUNG]
    assert capsys.readouterr().err == ""


def test_a_service_that_cannot_go_on(capsys: pytest.CaptureFixture[str]) -> None:
    async def serve(*, ready: Callable[[str], None]) -> None:
        raise UnavailableError("the node is away")

    assert run_service(lambda: serve) == 1
    assert capsys.readouterr().err == "the node is away\n"


def test_settings_that_cannot_be_used(capsys: pytest.CaptureFixture[str]) -> None:
    def refuse() -> Callable[..., None]:
        raise InputError("there is no hub", hint="set it")

    assert run_service(refuse) == 2  # type: ignore[arg-type]
    assert capsys.readouterr().err.startswith("the settings are wrong: there is no hub")
