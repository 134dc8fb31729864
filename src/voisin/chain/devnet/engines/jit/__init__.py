"""
An engine of our own: contract code is interpreted while it is cold, and translated to Python functions once it is hot.

`machine` runs messages, `interpreter` steps through cold code one instruction at a time, `translator` turns hot code into straight
Python functions ("traces"), `world` is the state during one transaction, `calls` and `creations` are what nests.
"""

from voisin.chain.devnet.engines.jit.code import CodeBook
from voisin.chain.devnet.engines.jit.engine import JitEngine

__all__ = ["CodeBook", "JitEngine"]
