"""
The requester's side of deals that are settled as a bag: asking for them, their results as they come, and guarding the money.

What a scheduler says of a bag is believed as far as it can be checked; the rest is challenged or demanded before the window closes.
"""
