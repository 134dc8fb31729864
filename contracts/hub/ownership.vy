# pragma version 0.4.3
# The owner's two ways of refusing others: the protocol has both (SPEC 4.3).
import hub_state as S

uses: S


@internal
@view
def _check_owner():
    assert msg.sender == S.owner, "Ownable: caller is not the owner"


@internal
@view
def _check_contract_owner():
    if msg.sender != S.owner:
        raw_revert(abi_encode(msg.sender, S.owner, method_id=method_id("NotContractOwner(address,address)")))
