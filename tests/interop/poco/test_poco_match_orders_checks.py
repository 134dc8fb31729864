"""What the unit tests say of why matches are refused holds for the original too."""

from tests.unit.contracts.test_match_orders_checks import *  # noqa: F403

# overflows are panics there, and revert empty here
del test_a_cost_beyond_all_numbers_is_refused  # noqa: F821
