"""What the unit tests say of settlement holds for the original too."""

from tests.unit.contracts.test_finalize import *  # noqa: F403

# a bound of ours (SPEC 11)
del test_results_beyond_the_bound_revert_empty  # noqa: F821
