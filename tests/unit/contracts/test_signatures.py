"""Who may speak for whom: keys, compact signatures, wallet contracts, presignatures (SPEC 6.2)."""

from __future__ import annotations

import pytest

from tests.support.compiled import deploy_double, encode_call
from tests.support.evm import reverts
from tests.support.market import Market, Roles, Terms
from tests.support.orders import SIGN, ZERO, as_tuple

DIGEST = bytes(range(32))
CURVE_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141


def _verify(market: Market, identity: str, signature: bytes, digest: bytes = DIGEST) -> bool:
    return bool(market.hub.read("verifySignature", identity, digest, signature))


def test_a_keys_signature(market: Market, roles: Roles) -> None:
    signer = roles.requester
    assert _verify(market, signer.address, signer.sign(DIGEST))
    assert _verify(market, signer.address, signer.sign_compact(DIGEST))


def test_somebody_elses_signature_or_digest(market: Market, roles: Roles) -> None:
    signer = roles.requester
    assert not _verify(market, roles.stranger.address, signer.sign(DIGEST))
    assert not _verify(market, signer.address, signer.sign(DIGEST), bytes(32))
    assert not _verify(market, roles.stranger.address, signer.sign_compact(DIGEST))


@pytest.mark.parametrize("size", [0, 1, 63, 66, 1024])
def test_another_length_is_no_signature(market: Market, roles: Roles, size: int) -> None:
    with reverts("invalid-signature-format"):
        _verify(market, roles.requester.address, bytes(size))


def test_longer_than_the_bound_reverts_empty(market: Market, roles: Roles) -> None:
    with reverts():
        _verify(market, roles.requester.address, bytes(1025))


@pytest.mark.parametrize("v", [0, 1, 26, 29, 255])
def test_only_27_and_28_name_a_key(market: Market, roles: Roles, v: int) -> None:
    signature = roles.requester.sign(DIGEST)[:64] + bytes([v])
    assert not _verify(market, roles.requester.address, signature)


def test_the_other_solution_for_s_is_refused(market: Market, roles: Roles) -> None:
    """Every signature has a twin with n - s; accepting both would give each signature a second form."""
    signature = roles.requester.sign(DIGEST)
    s = int.from_bytes(signature[32:64], "big")
    twin = signature[:32] + (CURVE_ORDER - s).to_bytes(32, "big") + bytes([27 + 28 - signature[64]])
    assert not _verify(market, roles.requester.address, twin)


def test_nobody_signs_whatever_cannot_be_recovered(market: Market, roles: Roles) -> None:
    """A known trait of the protocol: the zero address is the author of garbage."""
    assert _verify(market, ZERO, bytes(65))
    assert _verify(market, ZERO, bytes(64))
    assert _verify(market, ZERO, b"\xff" * 65)
    assert not _verify(market, ZERO, roles.requester.sign(DIGEST))


@pytest.fixture
def wallet(market: Market, roles: Roles) -> str:
    """A contract that signs with the requester's key."""
    return deploy_double(market.evm, "Wallet", roles.stranger.address, ("address", roles.requester.address))


def test_a_wallet_contract_decides_itself(market: Market, roles: Roles, wallet: str) -> None:
    assert _verify(market, wallet, roles.requester.sign(DIGEST))
    assert not _verify(market, wallet, roles.stranger.sign(DIGEST))
    assert not _verify(market, wallet, b"")
    assert not _verify(market, wallet, bytes(100))


def test_a_wallet_contract_that_fails_says_no(market: Market, roles: Roles, wallet: str) -> None:
    market.evm.send(roles.stranger.address, wallet, encode_call("setRefuses(bool)", True))
    assert not _verify(market, wallet, roles.requester.sign(DIGEST))


def test_a_contract_that_answers_nothing_fails_the_call(market: Market, roles: Roles) -> None:
    mute = deploy_double(market.evm, "Mute", roles.stranger.address)
    with reverts():
        _verify(market, mute, roles.requester.sign(DIGEST))


def test_an_answer_with_stray_bits_fails_the_call(market: Market, roles: Roles) -> None:
    untidy = deploy_double(market.evm, "Untidy", roles.stranger.address)
    with reverts():
        _verify(market, untidy, roles.requester.sign(DIGEST))


def test_presignatures(market: Market, roles: Roles) -> None:
    order = market.orders(Terms())["RequestOrder"]
    digest, requester = market.hash("RequestOrder", order), roles.requester.address
    read = market.hub.read
    assert not read("verifyPresignature", requester, digest)
    with reverts("invalid-signature-format"):
        read("verifyPresignatureOrSignature", requester, digest, b"")

    market.hub.send("manageRequestOrder", (as_tuple(order), SIGN, b""), by=requester)

    assert read("verifyPresignature", requester, digest)
    assert not read("verifyPresignature", roles.stranger.address, digest)
    assert read("verifyPresignatureOrSignature", requester, digest, b"")
    assert read("verifyPresignatureOrSignature", requester, digest, roles.stranger.sign(digest))
    assert not read("verifyPresignatureOrSignature", roles.stranger.address, digest, roles.requester.sign(digest))
    assert read("verifyPresignatureOrSignature", roles.stranger.address, digest, roles.stranger.sign(digest))


def test_nobody_has_presigned_what_is_not_presigned(market: Market) -> None:
    assert not market.hub.read("verifyPresignature", ZERO, DIGEST)
