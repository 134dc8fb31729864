"""What the unit tests say of opening tasks holds for the original too."""

from tests.unit.contracts.test_initialize import *  # noqa: F403
