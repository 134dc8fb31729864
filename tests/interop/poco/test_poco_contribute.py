"""What the unit tests say of contributions holds for the original too."""

from tests.unit.contracts.test_contribute import *  # noqa: F403
