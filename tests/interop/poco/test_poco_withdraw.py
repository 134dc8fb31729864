"""What the unit tests say of withdrawals holds for the original too."""

from tests.unit.contracts.test_withdraw import *  # noqa: F403

# set storage slots of ours
del test_recover_with_tokens_missing_is_an_arithmetic_panic  # noqa: F821
del test_a_token_that_says_no_is_heard  # noqa: F821
