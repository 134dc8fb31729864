"""What executes contract code, behind one seam (`engine`): our own translator to Python (`jit`), py-evm, and the specification."""
