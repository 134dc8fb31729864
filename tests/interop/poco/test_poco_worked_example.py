"""What the unit tests say of the worked example holds for the original too."""

from tests.unit.contracts.test_worked_example import *  # noqa: F403
