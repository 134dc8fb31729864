"""What the unit tests say of signatures holds for the original too."""

from tests.unit.contracts.test_signatures import *  # noqa: F403

# a bound of ours (SPEC 11)
del test_longer_than_the_bound_reverts_empty  # noqa: F821
