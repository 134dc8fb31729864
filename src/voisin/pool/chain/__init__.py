"""The pool's side of the chain: what it reads there, the steps it sends, the scheduler's money. `twin` is a hub in memory."""
