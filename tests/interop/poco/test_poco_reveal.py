"""What the unit tests say of reveals holds for the original too."""

from tests.unit.contracts.test_reveal import *  # noqa: F403
