"""What the unit tests say of consensus holds for the original too."""

from tests.unit.contracts.test_consensus import *  # noqa: F403

# the largest trust of ours
del test_the_largest_trust_needs_many  # noqa: F821
