"""Pure values of the protocol: what crosses wires and chains, and the arithmetic on it. No input, no output, no clock."""
