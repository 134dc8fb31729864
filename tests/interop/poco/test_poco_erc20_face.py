"""What the unit tests say of the ERC-20 face of the accounts holds for the original too."""

from tests.unit.contracts.test_erc20_face import *  # noqa: F403
