"""The ecosystem's own client, as npm installs it, and a box that it works against."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.interop.iexec.world import World, shared_world
from tests.support.npm import requires_node


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[World]:
    """The box that all of these tests share."""
    requires_node("iexec", "ethers")
    base = tmp_path_factory.getbasetemp()
    is_one_of_many = hasattr(request.config, "workerinput")
    with shared_world((base.parent if is_one_of_many else base) / "iexec") as world:
        yield world
