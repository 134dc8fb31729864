"""What the unit tests say of withdrawals holds for the original too."""

from tests.unit.contracts.test_withdraw import *  # noqa: F403

# sets a storage slot of our token
del test_recover_with_tokens_missing_is_an_arithmetic_panic  # noqa: F821
