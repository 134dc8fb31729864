"""What the unit tests say of deposits holds for the original too."""

from tests.unit.contracts.test_deposit import *  # noqa: F403

# about our deployment, and a limit of our books (SPEC 3.4)
del test_a_token_that_says_no_is_believed  # noqa: F821
del test_a_supply_too_large_for_the_books_is_refused  # noqa: F821
