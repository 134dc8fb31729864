"""
The pool's pure heart: facts in, commands out. No socket, no clock, no randomness; it imports nothing else of the pool but its settings.

`machine` has the table of what each fact changes; `book` is what it remembers, `records` what of that survives a restart.
"""
