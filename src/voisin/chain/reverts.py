"""
What a contract meant when it refused: revert data to a reason in words, and a hint on what to do about it.

Sources: Solidity documentation, "Panic via assert and Error via require"; poco-protocol.md 7, 8.2, 9, 19.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from voisin.chain.abi_codec import NUMBER, TEXT, DecodingError, decode_abi
from voisin.chain.artifacts import AbiParameter, load_abi
from voisin.chain.bag_hints import BAG_HINTS
from voisin.chain.functions import decode_values, function
from voisin.errors import RevertError
from voisin.protocol.hashing import keccak
from voisin.protocol.ids import to_hex

_ERROR = bytes.fromhex("08c379a0")
_PANIC = bytes.fromhex("4e487b71")
_PANICS = {
    0x00: "generic failure",
    0x01: "an assertion failed",
    0x11: "a number overflowed or fell below zero",
    0x12: "division by zero",
    0x21: "no such enumeration value",
    0x22: "corrupt stored bytes",
    0x31: "pop from an empty array",
    0x32: "index out of bounds",
    0x41: "out of memory",
    0x51: "call of an unset function",
}
_ABIS_WITH_ERRORS = ("Hub", "AppRegistry")
# the original hub's errors that ours cannot raise; see poco-protocol.md 19
_FOREIGN_ERRORS = (
    "CannotAddFunctionToDiamondThatAlreadyExists(bytes4)",
    "CannotAddSelectorsToZeroAddress(bytes4[])",
    "CannotRemoveFunctionThatDoesNotExist(bytes4)",
    "CannotRemoveImmutableFunction(bytes4)",
    "CannotReplaceFunctionThatDoesNotExists(bytes4)",
    "CannotReplaceFunctionWithTheSameFunctionFromTheSameFacet(bytes4)",
    "CannotReplaceFunctionsFromFacetWithZeroAddress(bytes4[])",
    "CannotReplaceImmutableFunction(bytes4)",
    "IncorrectFacetCutAction(uint8)",
    "InitializationFunctionReverted(address,bytes)",
    "MathOverflowedMulDiv()",
    "NoBytecodeAtAddress(address,string)",
    "NoSelectorsProvidedForFacetForCut(address)",
    "RemoveFacetAddressMustBeZeroAddress(address)",
    "SafeCastOverflowedUintDowncast(uint8,uint256)",
    "Create2EmptyBytecode()",
    "Create2FailedDeployment()",
    "Create2InsufficientBalance(uint256,uint256)",
    "ERC721EnumerableForbiddenBatchMint()",
)
_MATCH = "iExecV5-matchOrders-"
_MATCH_CONDITIONS = {
    "0x00": "the request's category must be the workerpool order's",
    "0x01": "the hub must know the request's category",
    "0x02": "the request's trust must not exceed the workerpool order's",
    "0x03": "the request's appmaxprice must reach the app's price",
    "0x04": "the request's datasetmaxprice must reach the dataset's price",
    "0x05": "the request's workerpoolmaxprice must reach the workerpool's price",
    "0x06": "the workerpool's tag must have every bit of the app's, the dataset's and the request's tags",
    "0x07": "an app must carry the TEE bit when the deal does, and only then",
    "0x10": "the request must name the app order's app",
    "0x11": "the request must name the dataset order's dataset",
    "0x12": "the request must allow the workerpool",
    "0x13": "the app order must allow the dataset",
    "0x14": "the app order must allow the workerpool",
    "0x15": "the app order must allow the requester",
    "0x16": "the dataset order must allow the app",
    "0x17": "the dataset order must allow the workerpool",
    "0x18": "the dataset order must allow the requester",
    "0x19": "the workerpool order must allow the app",
    "0x1a": "the workerpool order must allow the dataset",
    "0x1b": "the workerpool order must allow the requester",
    "0x20": "the app must be in the hub's app registry",
    "0x21": "the app order must be signed by the app's present owner",
    "0x30": "the dataset must be in the hub's dataset registry",
    "0x31": "the dataset order must be signed by the dataset's present owner",
    "0x40": "the workerpool must be in the hub's workerpool registry",
    "0x41": "the workerpool order must be signed by the workerpool's present owner",
    "0x50": "the request order must be signed by its requester",
    "0x60": "every order must have volume left: one is used up or cancelled",
}
_HINTS = {
    "IexecEscrow: Transfer amount exceeds balance": (
        "an account at the hub holds too little: the requester (or sponsor) deposits the prices times the volume, the workerpool's "
        "owner 30 % of the workerpool's price, a contributing worker the deal's worker stake"
    ),
    "IexecEscrow: Transfer from empty address": "the request names no requester",
    "IexecEscrow: Transfer to empty address": "the workerpool or a resource has no owner",
    "invalid-signature-format": "a signature must have 65 or 64 bytes: sign the order or the authorization first",
    "invalid-sender-or-signature": "only the owner of the resource may do this, or who holds the owner's signature over the operation",
    "failed-transferFrom": "approve the hub on the token first",
    "wrong-token": "deposit the hub's own token",
    "fallback-disabled": "the hub takes no native coin and has no such function",
    "task-pending": "wait until the task is completed",
    "no-failed-callback": "the contract took the result already, or the task has no callback that failed",
    "not-open": "only tasks that are not agreed and not at an end are given back",
    "no-such-task": "the index must belong to the deal",
    "cost-too-high": "giving back would cost more of the scheduler's stake than was allowed: see whether somebody contributed",
    "callback-without-code": "deploy the contract at the deal's callback address first",
    "callback-gas-too-low": "give the transaction more gas: the contract is due at least what a callback gets",
    "Create2: Failed on deploy": "this entry exists already: the same content and owner give the same address",
    "Ownable: caller is not the owner": "only the contract's owner may do this",
    "caller is not the owner": "only the owner of the entry may do this",
    "already-configured": "the hub is configured once only",
    "not-configured": "configure the hub first",
    "score-already-imported": "a score is imported once only",
    "invalid-array-length": "give as many elements in each list",
    "already initialized": "an entry is initialized once only, when it is created",
    "approval-refused": "the approved contract refuses the money",
    "Operation not supported on this chain": "names are not registered on this chain",
    "CallerIsNotTheRequester": "the request order must name the sender as its requester",
    "UnsupportedOperation": "only matchOrders may follow a deposit",
    "OperationFailed": "the match that follows the deposit failed without a reason",
    "FunctionNotFound": "this hub has no such function",
    "NotContractOwner": "only the hub's owner may do this",
    "ERC721NonexistentToken": "no such entry is in this registry",
    "ERC721IncorrectOwner": "the entry belongs to somebody else",
    "ERC721InsufficientApproval": "only the owner of the entry, or who the owner approved, may do this",
    "ERC721InvalidReceiver": "the receiver cannot own an entry",
    "OwnableUnauthorizedAccount": "only the registry's owner may do this",
}
# what the functions that refuse without a word ask for; poco-protocol.md 7.1, 9.1, 16.3, 17
_UNSPOKEN = {
    ("Hub", "initialize"): "the index must belong to the deal, and the task must not be initialized yet",
    ("Hub", "initializeArray"): "each index must belong to its deal, and no task may be initialized yet",
    ("Hub", "contribute"): (
        "the task must be active, its contribution deadline ahead, the worker's contribution the first, the authorization the "
        "scheduler's for this worker, task and enclave, and an enclave given where the deal's tag asks for one"
    ),
    ("Hub", "contributeAndFinalize"): (
        "the task must be active, without contributions, of trust 1, its contribution deadline ahead, the callback data those of the "
        "digest, and the authorization the scheduler's for this worker, task and enclave"
    ),
    ("Hub", "reveal"): "the task must be revealing, its reveal deadline ahead, and the digest the one this worker contributed and that won",
    ("Hub", "reopen"): "only the deal's scheduler may, after the reveal deadline, before the final one, and when nobody revealed",
    ("Hub", "finalize"): (
        "only the deal's scheduler may, before the final deadline, when all winners revealed or some did and the reveal deadline has "
        "passed, and with the callback data of the digest"
    ),
    ("Hub", "claim"): "the task must be open and its final deadline passed",
    ("Hub", "claimArray"): "every task must be open and its final deadline passed",
    ("Hub", "initializeAndClaimArray"): "no task may be initialized yet, and every final deadline must have passed",
    ("Hub", "deposit"): "the sender must hold the tokens, and must have approved the hub to take them",
    ("Hub", "withdraw"): "the account at the hub must hold so much that is not locked",
    ("Hub", "matchOrders"): "the app, the dataset and the workerpool must be entries of the registries",
    ("Hub", "sponsorMatchOrders"): "the app, the dataset and the workerpool must be entries of the registries",
    ("Rlc", "transfer"): "the sender must hold so many tokens",
    ("Rlc", "approveAndCall"): "the sender must hold so many tokens",
    ("Workerpool", "changePolicy"): "the scheduler's reward is at most 100 %",
}
_NO_REASON_HINT = "the contract's conditions are in the protocol's description of this function"


def revert_error(data: bytes, *, label: str = "", said: str = "", selector: bytes = b"") -> RevertError:
    """
    Make the error that says why a contract refused.

    Args:
        data: What the contract returned.
        label: What was tried, in words.
        said: What the node said about it, for nodes that keep the data to themselves.
        selector: Selector of the function that was called, for what a contract means that says nothing.

    Returns:
        The error: its `reason` is the contract's own words, or a custom error with its values.
    """
    reason = revert_reason(data) or _reason_in(said)
    tried = f"the chain refused to {label}" if label else "a contract refused the call"
    if not reason:
        hint = _unspoken().get(selector, _NO_REASON_HINT)
        return RevertError(f"{tried}; the contract gave no reason", data=data, hint=hint)
    return RevertError(f"{tried}: {reason}", reason=reason, data=data, hint=hint_for(reason))


def relabelled(error: RevertError, label: str, selector: bytes) -> RevertError:
    """
    Say of a revert what was tried.

    Args:
        error: The revert.
        label: What was tried, in words.
        selector: Selector of the function that was called.
    """
    if not error.reason:
        return revert_error(error.data, label=label, selector=selector)
    return RevertError(f"the chain refused to {label}: {error.reason}", reason=error.reason, data=error.data, hint=error.hint)


def revert_reason(data: bytes) -> str:
    """
    Put revert data into words.

    Args:
        data: What the contract returned.

    Returns:
        The text of `Error(string)`, the meaning of `Panic(uint256)`, a custom error with its values; empty for no data, and the data
        itself as hex when nothing is known about it.
    """
    selector, rest = data[:4], data[4:]
    try:
        if selector == _ERROR:
            return str(decode_abi(TEXT, rest)[0])
        if selector == _PANIC:
            (number,) = decode_abi(NUMBER, rest)
            assert isinstance(number, int)
            return f"Panic 0x{number:02x}: {_PANICS.get(number, 'unknown')}"
        if selector in _custom_errors():
            return _custom_errors()[selector].say(rest)
    except DecodingError:
        pass
    return f"unknown error {to_hex(data[:68])}" if data else ""


def hint_for(reason: str) -> str:
    """
    Say what to do about a reason.

    Args:
        reason: As `revert_reason` answers it.

    Returns:
        The hint; empty when there is none.
    """
    if reason.startswith(_MATCH):
        return _MATCH_CONDITIONS.get(reason.removeprefix(_MATCH), "")
    return _HINTS.get(reason) or BAG_HINTS.get(reason) or _HINTS.get(reason.split("(")[0], "")


@dataclass(frozen=True, slots=True)
class _CustomError:
    name: str
    parameters: tuple[AbiParameter, ...]

    def say(self, data: bytes) -> str:
        """Write the error with its values."""
        values = decode_values(self.parameters, data)
        return f"{self.name}({', '.join(to_hex(value) if isinstance(value, bytes) else str(value) for value in values)})"


@cache
def _unspoken() -> dict[bytes, str]:
    return {function(*named).selector: hint for named, hint in _UNSPOKEN.items()}


@cache
def _custom_errors() -> dict[bytes, _CustomError]:
    entries = [entry for contract in _ABIS_WITH_ERRORS for entry in load_abi(contract) if entry.type == "error"]
    known = {entry.selector: _CustomError(entry.name, entry.inputs) for entry in entries}
    for signature in _FOREIGN_ERRORS:
        name, types = signature.removesuffix(")").split("(")
        parameters = tuple(AbiParameter(name="", type=kind) for kind in types.split(",") if kind)
        known.setdefault(keccak(signature.encode())[:4], _CustomError(name, parameters))
    return known


def _reason_in(said: str) -> str:
    """Find the reason in a node's message, for example `execution reverted: task-pending`."""
    for opening in ("execution reverted:", "reverted with reason string", "revert:"):
        if opening in said:
            return said.split(opening, 1)[1].strip().strip("'\"")
    return ""
