"""Every way in which the hub, the registries and the token refuse becomes words, with a hint for what people can do something about."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from eth_abi.abi import encode
from eth_utils.crypto import keccak

from voisin.chain.bag_hints import BAG_HINTS
from voisin.chain.reverts import hint_for, revert_error, revert_reason

ROOT = Path(__file__).parents[3]
WHO = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"
ELSE = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"

# poco-protocol.md 19: selector, signature, values, what a person reads
ERRORS = [
    ("74a0583f", "CallerIsNotTheRequester()", (), "CallerIsNotTheRequester()"),
    ("ebbf5d07", "CannotAddFunctionToDiamondThatAlreadyExists(bytes4)", (b"\1\2\3\4",), "(0x01020304)"),
    ("0ae3681c", "CannotAddSelectorsToZeroAddress(bytes4[])", ([b"\1\2\3\4"],), "CannotAddSelectorsToZeroAddress"),
    ("7a08a22d", "CannotRemoveFunctionThatDoesNotExist(bytes4)", (b"\1\2\3\4",), "(0x01020304)"),
    ("6fafeb08", "CannotRemoveImmutableFunction(bytes4)", (b"\1\2\3\4",), "(0x01020304)"),
    ("7479f939", "CannotReplaceFunctionThatDoesNotExists(bytes4)", (b"\1\2\3\4",), "(0x01020304)"),
    ("358d9d1a", "CannotReplaceFunctionWithTheSameFunctionFromTheSameFacet(bytes4)", (b"\1\2\3\4",), "(0x01020304)"),
    ("cd98a96f", "CannotReplaceFunctionsFromFacetWithZeroAddress(bytes4[])", ([],), "CannotReplaceFunctionsFromFacetWithZeroAddress"),
    ("520300da", "CannotReplaceImmutableFunction(bytes4)", (b"\1\2\3\4",), "(0x01020304)"),
    ("5416eb98", "FunctionNotFound(bytes4)", (b"\1\2\3\4",), "FunctionNotFound(0x01020304)"),
    ("0afd9382", "IncompatibleDatasetOrder(string)", ("Deal not found",), "IncompatibleDatasetOrder(Deal not found)"),
    ("7fe9a41e", "IncorrectFacetCutAction(uint8)", (9,), "IncorrectFacetCutAction(9)"),
    ("192105d7", "InitializationFunctionReverted(address,bytes)", (WHO, b"\xab"), f"InitializationFunctionReverted({WHO}, 0xab)"),
    ("227bc153", "MathOverflowedMulDiv()", (), "MathOverflowedMulDiv()"),
    ("919834b9", "NoBytecodeAtAddress(address,string)", (WHO, "nothing"), f"NoBytecodeAtAddress({WHO}, nothing)"),
    ("e767f91f", "NoSelectorsProvidedForFacetForCut(address)", (WHO,), WHO),
    ("ff4127cb", "NotContractOwner(address,address)", (WHO, ELSE), f"NotContractOwner({WHO}, {ELSE})"),
    ("0364eed2", "OperationFailed()", (), "OperationFailed()"),
    ("d091bc81", "RemoveFacetAddressMustBeZeroAddress(address)", (WHO,), WHO),
    ("6dfcc650", "SafeCastOverflowedUintDowncast(uint8,uint256)", (16, 65536), "SafeCastOverflowedUintDowncast(16, 65536)"),
    ("de6168e5", "UnsupportedOperation(bytes4)", (b"\1\2\3\4",), "UnsupportedOperation(0x01020304)"),
    ("4ca249dc", "Create2EmptyBytecode()", (), "Create2EmptyBytecode()"),
    ("741752c2", "Create2FailedDeployment()", (), "Create2FailedDeployment()"),
    ("e4bbecac", "Create2InsufficientBalance(uint256,uint256)", (1, 2), "Create2InsufficientBalance(1, 2)"),
    ("59171fc1", "ERC721EnumerableForbiddenBatchMint()", (), "ERC721EnumerableForbiddenBatchMint()"),
    ("64283d7b", "ERC721IncorrectOwner(address,uint256,address)", (WHO, 7, ELSE), f"ERC721IncorrectOwner({WHO}, 7, {ELSE})"),
    ("177e802f", "ERC721InsufficientApproval(address,uint256)", (WHO, 7), f"ERC721InsufficientApproval({WHO}, 7)"),
    ("a9fbf51f", "ERC721InvalidApprover(address)", (WHO,), WHO),
    ("5b08ba18", "ERC721InvalidOperator(address)", (WHO,), WHO),
    ("89c62b64", "ERC721InvalidOwner(address)", (WHO,), WHO),
    ("64a0ae92", "ERC721InvalidReceiver(address)", (WHO,), WHO),
    ("73c6ac6e", "ERC721InvalidSender(address)", (WHO,), WHO),
    ("7e273289", "ERC721NonexistentToken(uint256)", (7,), "ERC721NonexistentToken(7)"),
    ("a57d13dc", "ERC721OutOfBoundsIndex(address,uint256)", (WHO, 7), f"ERC721OutOfBoundsIndex({WHO}, 7)"),
    ("1e4fbdf7", "OwnableInvalidOwner(address)", (WHO,), WHO),
    ("118cdaa7", "OwnableUnauthorizedAccount(address)", (WHO,), WHO),
]


@pytest.mark.parametrize(("selector", "signature", "values", "words"), ERRORS, ids=[error[1] for error in ERRORS])
def test_custom_errors(selector: str, signature: str, values: tuple[object, ...], words: str) -> None:
    assert keccak(text=signature)[:4].hex() == selector
    types = [kind for kind in signature[signature.index("(") + 1 : -1].split(",") if kind]
    reason = revert_reason(bytes.fromhex(selector) + encode(types, values))
    assert reason.startswith(signature.split("(")[0])
    assert words in reason


# poco-protocol.md 8.2
CODES = [*range(0x08), *range(0x10, 0x1C), 0x20, 0x21, 0x30, 0x31, 0x40, 0x41, 0x50, 0x60]


@pytest.mark.parametrize("code", CODES, ids=hex)
def test_every_condition_of_a_match_is_explained(code: int) -> None:
    reason = f"iExecV5-matchOrders-0x{code:02x}"
    error = revert_error(bytes.fromhex("08c379a0") + encode(["string"], [reason]), label="match")
    assert error.reason == reason
    assert " must " in error.hint


def test_conditions_say_who_is_concerned() -> None:
    assert "category" in hint_for("iExecV5-matchOrders-0x00")
    assert "trust" in hint_for("iExecV5-matchOrders-0x02")
    assert re.search("workerpool.*price", hint_for("iExecV5-matchOrders-0x05"))
    assert "tag" in hint_for("iExecV5-matchOrders-0x06")
    assert "requester" in hint_for("iExecV5-matchOrders-0x1b")
    assert "volume" in hint_for("iExecV5-matchOrders-0x60")


@pytest.mark.parametrize(
    ("number", "words"),
    [(0x01, "assertion"), (0x11, "overflowed or fell below zero"), (0x12, "zero"), (0x32, "out of bounds"), (0x99, "unknown")],
)
def test_panics(number: int, words: str) -> None:
    reason = revert_reason(bytes.fromhex("4e487b71") + encode(["uint256"], [number]))
    assert reason.startswith(f"Panic 0x{number:02x}")
    assert words in reason


@pytest.mark.parametrize(
    "data",
    [
        b"\x08",
        bytes.fromhex("08c379a0"),
        bytes.fromhex("08c379a0") + b"\xff" * 64,
        bytes.fromhex("08c379a0") + encode(["bytes"], [b"\xff\xfe"]),
        bytes.fromhex("4e487b71") + b"\1",
        bytes.fromhex("ff4127cb") + b"\xff" * 64,
        bytes.fromhex("deadbeef") + b"x" * 5000,
    ],
)
def test_what_cannot_be_read_is_shown_as_it_is(data: bytes) -> None:
    reason = revert_reason(data)
    assert reason == f"unknown error 0x{data[:68].hex()}"


def test_no_data_is_no_reason() -> None:
    error = revert_error(b"", label="claim task 0x01", selector=bytes.fromhex("bd66528a"))
    assert error.reason == ""
    assert (
        str(error)
        == "the chain refused to claim task 0x01; the contract gave no reason: the task must be open and its final deadline passed"
    )


# selectors from poco-protocol.md 9 and 7
@pytest.mark.parametrize(
    "selector",
    [
        "bd66528a",
        "fa055d7e",
        "34623484",
        "5facd761",
        "8fc375e5",
        "5b36c66b",
        "f722cb32",
        "b504681d",
        "f6c68e10",
        "fc334e8c",
        "b6b55f25",
        "2e1a7d4d",
    ],
)
def test_functions_that_refuse_in_silence_are_spoken_for(selector: str) -> None:
    assert " must " in (hint := revert_error(b"", selector=bytes.fromhex(selector)).hint) or "only the deal's scheduler" in hint


@pytest.mark.parametrize(
    "reason",
    ["invalid-sender-or-signature", "invalid-signature-format", "task-pending", "fallback-disabled", "wrong-token",
     "failed-transferFrom", "Create2: Failed on deploy", "Ownable: caller is not the owner", "caller is not the owner",
     "already initialized", "already-configured"],
)  # fmt: skip
def test_usual_reasons_have_a_hint(reason: str) -> None:
    assert hint_for(reason)


def test_all_reasons_about_bags_have_a_hint() -> None:
    sources = [ROOT / "contracts" / "hub" / name for name in ("BagFacet.vy", "BagDisputesFacet.vy", "bag_record.vy")]
    reasons = {reason for source in sources for reason in re.findall(r'assert [^#]*?, "([a-z-]+)"', source.read_text())}
    assert len(reasons) > 25
    assert reasons - {"callback-gas-too-low"} <= BAG_HINTS.keys()
