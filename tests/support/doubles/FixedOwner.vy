# pragma version 0.4.3
# The one function that the published package of the original hub lacks.
OWNER: immutable(address)


@deploy
def __init__(owner_: address):
    OWNER = owner_


@view
@external
def owner() -> address:
    return OWNER
