"""What the unit tests say of cuts holds for the diamond that the original is."""

from tests.unit.contracts.test_diamond_cut import *  # noqa: F403
