"""What the unit tests say of callbacks holds for the original too."""

from tests.unit.contracts.test_callback import *  # noqa: F403

# its amounts of gas are those of our code
del test_too_little_gas_for_the_contracts_share_is_refused  # noqa: F821
