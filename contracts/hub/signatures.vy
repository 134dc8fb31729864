# pragma version 0.4.3
# Who may speak for whom (SPEC 6): keys, contracts that sign (ERC-1271), signatures given beforehand, groups (ERC-734).
import hub_state as S

uses: S

ERC1271_MAGIC: constant(bytes4) = 0x1626ba7e  # isValidSignature(bytes32,bytes), and its answer
HALF_ORDER: constant(uint256) = 57896044618658097711785492504343953926418782139537452191302581570759080747168
LOW_BITS: constant(uint256) = 2**255 - 1
GROUPMEMBER_PURPOSE: constant(uint256) = 4


@internal
@view
def _is_signed(account: address, digest: bytes32, signature: Bytes[1_024]) -> bool:
    """
    @notice Whether a signature over a digest is that of an account.
    @dev An address without code and without key, zero, counts as the author of any signature that cannot be recovered.
    """
    if account.is_contract:
        return self._is_signed_by_contract(account, digest, signature)
    return self._signer(digest, signature) == account


@internal
@pure
def _signer(digest: bytes32, signature: Bytes[1_024]) -> address:
    """
    @notice Whose key made a signature; zero if nobody's.
    """
    r: uint256 = 0
    s: uint256 = 0
    v: uint256 = 0
    if len(signature) == 65:
        r = convert(extract32(signature, 0), uint256)
        s = convert(extract32(signature, 32), uint256)
        v = convert(slice(signature, 64, 1), uint256)
    elif len(signature) == 64:  # EIP-2098
        r = convert(extract32(signature, 0), uint256)
        s = convert(extract32(signature, 32), uint256)
        v = 27 + (s >> 255)
        s = s & LOW_BITS
    else:
        raise "invalid-signature-format"
    if s > HALF_ORDER:
        return empty(address)
    return ecrecover(digest, v, r, s)


@internal
@view
def _is_signed_by_contract(account: address, digest: bytes32, signature: Bytes[1_024]) -> bool:
    success: bool = False
    answer: Bytes[32] = b""
    success, answer = raw_call(
        account,
        abi_encode(digest, signature, method_id=ERC1271_MAGIC),
        max_outsize=32,
        is_static_call=True,
        revert_on_failure=False,
    )
    if not success:
        return False
    assert len(answer) == 32
    word: bytes32 = convert(answer, bytes32)
    assert convert(word, uint256) << 32 == 0
    return convert(word, bytes4) == ERC1271_MAGIC


@internal
@view
def _is_presigned(account: address, digest: bytes32) -> bool:
    return account != empty(address) and S.presigned[digest] == account


@internal
@view
def _is_approved(account: address, digest: bytes32, signature: Bytes[1_024]) -> bool:
    """
    @notice Whether an account has signed a digest beforehand or signs it now.
    @dev The answer does not depend on which is looked at first: a key's signature, the most frequent, costs no storage read.
    """
    if len(signature) == 65 and not account.is_contract and self._signer(digest, signature) == account:
        return True
    if self._is_presigned(account, digest):
        return True
    return self._is_signed(account, digest, signature)


@internal
@view
def _is_message_signed(account: address, digest: bytes32, signature: Bytes[1_024]) -> bool:
    """
    @notice The same for what a wallet signs when it is asked to sign 32 bytes (EIP-191).
    """
    return self._is_signed(account, keccak256(concat(b"\x19Ethereum Signed Message:\n32", digest)), signature)


@internal
@view
def _is_sent(taskid: bytes32, scheduler: address, enclave: address, authorization: Bytes[1_024]) -> bool:
    """
    @notice Whether the scheduler of a task, or the broker of enclaves, has sent the caller to work on it.
    """
    signer: address = scheduler
    if enclave != empty(address):
        broker: address = S.tee_broker
        if broker != empty(address):
            signer = broker
    digest: bytes32 = keccak256(concat(convert(msg.sender, bytes20), taskid, convert(enclave, bytes20)))
    return self._is_message_signed(signer, digest, authorization)


@internal
@view
def _is_authorized(restriction: address, account: address) -> bool:
    """
    @notice Whether a restriction lets an account pass: it is empty, the account itself, or a group with this member.
    """
    if restriction == empty(address) or restriction == account:
        return True
    if not restriction.is_contract:
        return False
    success: bool = False
    answer: Bytes[32] = b""
    success, answer = raw_call(
        restriction,
        abi_encode(
            convert(convert(account, uint256), bytes32),
            GROUPMEMBER_PURPOSE,
            method_id=method_id("keyHasPurpose(bytes32,uint256)"),
        ),
        max_outsize=32,
        is_static_call=True,
        revert_on_failure=False,
    )
    if not success:
        return False
    assert len(answer) == 32
    member: uint256 = convert(answer, uint256)
    assert member <= 1
    return member == 1
