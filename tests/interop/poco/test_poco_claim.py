"""What the unit tests say of claims holds for the original too."""

from tests.unit.contracts.test_claim import *  # noqa: F403
