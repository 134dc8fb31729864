# pragma version 0.4.3
# Is told of approvals, and says whether it likes them.
answer: public(bool)
seen: public(Bytes[1_184])


@external
def setAnswer(answer: bool):
    self.answer = answer


@external
def receiveApproval(sender: address, amount: uint256, token: address, data: Bytes[1_024]) -> bool:
    self.seen = abi_encode(sender, amount, token, data)
    return self.answer
