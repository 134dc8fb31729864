"""What tests share: an EVM in this process, contracts on it, orders, and the two markets to compare."""
