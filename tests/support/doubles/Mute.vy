# pragma version 0.4.3
# Accepts every call and answers nothing.
@payable
@external
def __default__():
    pass
