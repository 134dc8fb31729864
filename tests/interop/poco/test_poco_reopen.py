"""What the unit tests say of reopening holds for the original too."""

from tests.unit.contracts.test_reopen import *  # noqa: F403
