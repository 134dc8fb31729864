"""What the unit tests say of restrictions holds for the original too."""

from tests.unit.contracts.test_restrictions import *  # noqa: F403
