"""
Sending and signing for clients that hold no keys: with the development accounts' public keys, or as somebody else without a signature.

Sources: EIP-155, EIP-2930, EIP-1559, EIP-7702 for what is signed; EIP-191 and EIP-712 for messages.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec
from eth_hash.auto import keccak

from voisin.chain.devnet.accounts import development_keys
from voisin.chain.devnet.dev_ledger import DevLedger
from voisin.chain.devnet.fees import GWEI
from voisin.chain.devnet.pretended import Place
from voisin.chain.devnet.records.rlp_writer import encode
from voisin.chain.devnet.records.state_views import number_blob, word_blob
from voisin.chain.devnet.settings import DevnetSettings
from voisin.chain.devnet.txcodec import Field, decode_transaction, reread_transaction
from voisin.chain.devnet.values import Authorization
from voisin.chain.devnet.wire.chain_runs import ChainRuns
from voisin.chain.devnet.wire.errors import BadParamsError, RpcError
from voisin.chain.devnet.wire.params import CallParams, Json, Params, address, boolean, call_params, data, members, quantity
from voisin.chain.devnet.wire.render import data_text
from voisin.protocol.signatures import KeySigner, message_digest

Handler = Callable[[Params], Json]
Signature = tuple[int, int, int]
"""Parity, r and s."""


class DevWallet:
    """
    Accounts that the node sends for; used on the ledger's thread.

    Args:
        ledger: Where transactions go.
        runs: Estimates the gas of those that name none.
        settings: Number of accounts, chain id and base fee.
    """

    def __init__(self, ledger: DevLedger, runs: ChainRuns, settings: DevnetSettings) -> None:
        self._ledger = ledger
        self._runs = runs
        self._settings = settings
        self._keys: Mapping[bytes, KeySigner] = {bytes.fromhex(key.address[2:]): key for key in development_keys(settings.accounts)}
        self._impersonated: set[bytes] = set()
        self._is_anybody = False

    def table(self) -> dict[str, tuple[Handler, int]]:
        """
        List the methods.

        Returns:
            By name: what carries the method out, and the most parameters it takes.
        """
        return {
            "eth_accounts": (lambda _: [data_text(one) for one in (*self._keys, *sorted(self._impersonated - self._keys.keys()))], 0),
            "eth_sendTransaction": (self._send, 1),
            "eth_signTransaction": (self._sign_transaction, 1),
            "eth_sign": (lambda params: self._sign_message(params.read(0, address), params.read(1, data)), 2),
            "personal_sign": (lambda params: self._sign_message(params.read(1, address), params.read(0, data)), 3),
            "eth_signTypedData_v4": (self._sign_typed_data, 2),
            "anvil_impersonateAccount": (self._impersonate, 1),
            "anvil_stopImpersonatingAccount": (self._stop_impersonating, 1),
            "anvil_autoImpersonateAccount": (self._impersonate_anybody, 1),
        }

    # As somebody else.

    def _impersonate(self, params: Params) -> Json:
        self._require_believing_engine()
        self._impersonated.add(params.read(0, address))
        return None

    def _stop_impersonating(self, params: Params) -> Json:
        self._impersonated.discard(params.read(0, address))
        return None

    def _impersonate_anybody(self, params: Params) -> Json:
        self._require_believing_engine()
        self._is_anybody = params.read(0, boolean)
        return None

    def _require_believing_engine(self) -> None:
        if self._settings.engine == "eels":
            raise RpcError("the engine eels reads the sender from the signature: nobody can be impersonated", hint="use another engine")

    # Transactions.

    def _send(self, params: Params) -> Json:
        raw, sender, is_signed = self._complete(params)
        if is_signed:
            return data_text(self._ledger.send(raw))
        return data_text(self._ledger.send_unsigned(reread_transaction(raw, sender=sender)))

    def _sign_transaction(self, params: Params) -> Json:
        raw, _, is_signed = self._complete(params)
        if not is_signed:
            raise RpcError("no signer available: an impersonated account has no key")
        return data_text(decode_transaction(raw, chain_id=self._settings.chain_id).raw)

    def _complete(self, params: Params) -> tuple[bytes, bytes, bool]:
        """Fill a transaction's gaps and sign it; gives its bytes, its sender, and whether the signature is a true one."""
        asked, fields = params.read(0, call_params), params.read(0, members)
        key = self._keys.get(asked.sender)
        if asked.sender in self._impersonated or (key is None and self._is_anybody):
            key = None
        elif key is None:
            hint = "sign it yourself, or call anvil_impersonateAccount first"
            raise RpcError(f"no signer available for {data_text(asked.sender)}", hint=hint)
        nonce_given = fields.get("nonce")
        nonce = self._ledger.state.account(asked.sender).nonce if nonce_given is None else quantity(nonce_given, "0.nonce")
        gas = asked.gas or self._runs.estimate(asked, Place(is_pending=True))
        sign = _nobody(asked.sender) if key is None else _signing(key)
        raw = encode_transaction(asked, self._fees(fields), nonce=nonce, gas=gas, chain_id=self._settings.chain_id, sign=sign)
        return raw, asked.sender, key is not None

    def _fees(self, fields: Mapping[str, Json]) -> tuple[int, int] | int:
        """The fees of a transaction: priority and highest fee, or the one price of the types before EIP-1559 [wei per gas]."""
        if fields.get("gasPrice") is not None:
            return quantity(fields["gasPrice"], "0.gasPrice")
        tip = GWEI if self._settings.base_fee else 0
        if fields.get("maxPriorityFeePerGas") is not None:
            tip = quantity(fields["maxPriorityFeePerGas"], "0.maxPriorityFeePerGas")
        if fields.get("maxFeePerGas") is None:
            return tip, 2 * self._settings.base_fee + tip
        highest = quantity(fields["maxFeePerGas"], "0.maxFeePerGas")
        return min(tip, highest), highest

    # Messages.

    def _sign_message(self, who: bytes, message: bytes) -> Json:
        return self._key(who).sign_digest(message_digest(message))

    def _sign_typed_data(self, params: Params) -> Json:
        from eth_abi.exceptions import EncodingError  # here: a second to load, and seldom asked
        from eth_account.messages import encode_typed_data
        from eth_utils.exceptions import ValidationError

        key, given = self._key(params.read(0, address)), params.read(1, _typed_data)
        try:
            signable = encode_typed_data(full_message=given)
        except (ValueError, TypeError, KeyError, EncodingError, ValidationError) as error:
            raise BadParamsError(f"invalid argument 1: the typed data cannot be encoded: {error}") from error
        return key.sign_digest(keccak(b"\x19" + signable.version + signable.header + signable.body))

    def _key(self, who: bytes) -> KeySigner:
        key = self._keys.get(who)
        if key is None:
            raise RpcError(f"no signer available for {data_text(who)}", hint="the node holds the keys of the development accounts only")
        return key


def encode_transaction(
    asked: CallParams, fees: tuple[int, int] | int, *, nonce: int, gas: int, chain_id: int, sign: Callable[[bytes], Signature]
) -> bytes:
    """
    Write a transaction of the type that its fields ask for.

    Args:
        asked: Receiver, value, data, lists.
        fees: Priority and highest fee, or the one price of types 0 and 1 [wei per gas].
        nonce: Sender's transaction count.
        gas: Gas limit.
        chain_id: The chain.
        sign: Signs the digest.

    Returns:
        The signed bytes.
    """
    body: list[Field] = [number_blob(gas), asked.to or b"", number_blob(asked.value), asked.data]
    chain, count = number_blob(chain_id), number_blob(nonce)
    listed: list[Field] = [[who, [word_blob(slot) for slot in slots]] for who, slots in asked.access_list]
    if isinstance(fees, int) and not listed:
        unsigned: list[Field] = [count, number_blob(fees), *body]
        parity, r, s = sign(keccak(encode([*unsigned, chain, b"", b""])))
        return encode([*unsigned, number_blob(35 + 2 * chain_id + parity), number_blob(r), number_blob(s)])
    prices = [number_blob(fees)] if isinstance(fees, int) else [number_blob(fee) for fee in fees]
    fields: list[Field] = [chain, count, *prices, *body, listed]
    kind = 1 if isinstance(fees, int) else 2
    if asked.authorizations:
        kind = 4
        fields.append([_authorization_fields(one) for one in asked.authorizations])
    parity, r, s = sign(keccak(bytes([kind]) + encode(fields)))
    return bytes([kind]) + encode([*fields, number_blob(parity), number_blob(r), number_blob(s)])


def _authorization_fields(given: Authorization) -> list[Field]:
    chain, nonce, parity, r, s = (number_blob(number) for number in (given.chain_id, given.nonce, given.parity, given.r, given.s))
    return [chain, given.address, nonce, parity, r, s]


def _signing(key: KeySigner) -> Callable[[bytes], Signature]:
    def sign(digest: bytes) -> Signature:
        signature = bytes.fromhex(key.sign_digest(digest)[2:])
        return signature[64] - 27, int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:64], "big")

    return sign


def _nobody(sender: bytes) -> Callable[[bytes], Signature]:
    """Numbers that no key has signed; they differ with the sender, so that no two senders' transactions have the same hash."""
    return lambda _: (0, 2**160 + int.from_bytes(sender, "big"), 1)


def _typed_data(value: Json, name: str) -> dict[str, Json]:
    if isinstance(value, str):  # ethers sends the document as text
        try:
            value = msgspec.json.decode(value)
        except msgspec.DecodeError as error:
            raise BadParamsError(f"invalid argument {name}: the typed data are not JSON") from error
    return members(value, name)
