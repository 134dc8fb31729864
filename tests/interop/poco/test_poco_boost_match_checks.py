"""What the unit tests say of these deals holds for the original too."""

from tests.unit.contracts.test_boost_match_checks import *  # noqa: F403
