"""What the unit tests say of contributions that settle holds for the original too."""

from tests.unit.contracts.test_contribute_and_finalize import *  # noqa: F403
