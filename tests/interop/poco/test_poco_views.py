"""What the unit tests say of views holds for the original too."""

from tests.unit.contracts.test_views import *  # noqa: F403
