"""
Gates: group contracts that know time, grants, subscriptions and revocations, for the restrictions of orders.

Transactions as values, as in `calls`, and what a gate says. Anybody may deploy one for an entry; it belongs to the entry's owner.

Source: contracts/SPEC.md 20.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from voisin.chain import calls
from voisin.chain.abi_codec import AbiArgument
from voisin.chain.artifacts import load_artifact
from voisin.chain.calls import Call
from voisin.chain.connection import Chain
from voisin.chain.functions import encode_values, events_by_topic, function
from voisin.chain.node_values import RawLog
from voisin.chain.reading import Read, read_many
from voisin.chain.rpc import Rpc
from voisin.errors import InputError
from voisin.protocol.ids import ZERO_ADDRESS, Address, as_address, from_hex, to_hex
from voisin.units import NRLC, UnixSeconds

MAX_GRANTS: Final = 256
"""Most accounts of one grant."""
FOREVER: Final = 2**256 - 1
ALWAYS: Final = UnixSeconds(0)
"""A beginning or an end that is none [Unix s]."""
_BLOCKS_AT_A_TIME: Final = 2_000


@dataclass(frozen=True, slots=True, kw_only=True)
class GateTerms:
    """
    What a gate is for ever.

    Attributes:
        entry: The app, dataset or workerpool whose owner is the gate's.
        token: What a subscription is paid in.
        begins: From when on anybody passes [Unix s]; 0 for always.
        ends: Until when, exclusively [Unix s]; 0 for ever.
        is_public: Whether everybody passes who was not revoked.
        price: Price of a subscription's period [nRLC].
        period_s: Its length [s]; 0 for no subscription.
        renewals: How often a subscriber may renew; 0 for any number.
    """

    entry: Address
    token: Address
    begins: UnixSeconds = ALWAYS
    ends: UnixSeconds = ALWAYS
    is_public: bool = False
    price: NRLC = NRLC(0)
    period_s: int = 0
    renewals: int = 0


@dataclass(frozen=True, slots=True)
class Membership:
    """
    What a gate says of an account, now.

    Attributes:
        account: The account.
        is_member: Whether it passes.
        is_revoked: Whether it was revoked.
        grant: From when until when it is granted, exclusively [Unix s]; None for no grant. `FOREVER` is no end.
        paid: From when until when it has paid, exclusively [Unix s]; None for never.
        periods: How many periods it bought in all.
        refund: What the owner would have to give back to revoke it [nRLC].
    """

    account: Address
    is_member: bool
    is_revoked: bool
    grant: tuple[UnixSeconds, UnixSeconds] | None
    paid: tuple[UnixSeconds, UnixSeconds] | None
    periods: int
    refund: NRLC


# --- transactions ----------------------------------------------------------------------------------------------------


def deploy_gate(terms: GateTerms) -> Call:
    """Create a gate; the receipt names its address."""
    artifact = load_artifact("Gate")
    values: list[AbiArgument] = [terms.entry, terms.token, terms.begins, terms.ends, terms.is_public]
    values += [terms.price, terms.period_s, terms.renewals]
    return Call(None, artifact.init_code + encode_values(artifact.constructor_inputs, values, "Gate"), f"deploy a gate of {terms.entry}")


def grant(gate: Address, accounts: Sequence[Address], begins: UnixSeconds, ends: UnixSeconds) -> Call:
    """
    Let accounts pass for a time, as the gate's owner.

    Args:
        gate: The gate.
        accounts: Who; at most `MAX_GRANTS`.
        begins: From when on [Unix s].
        ends: Until when, exclusively [Unix s]; 0 for ever.

    Raises:
        InputError: There are too many.
    """
    if len(accounts) > MAX_GRANTS:
        raise InputError(f"one grant names at most {MAX_GRANTS} accounts, not {len(accounts)}", hint="grant them in several steps")
    label = f"grant {len(accounts)} accounts at {gate}" if len(accounts) != 1 else f"grant {accounts[0]} at {gate}"
    return Call(gate, function("Gate", "grantArray").encode(list(accounts), begins, ends), label)


def revoke(gate: Address, account: Address, *, token: Address = ZERO_ADDRESS, refund: NRLC = NRLC(0)) -> Call:
    """
    Let an account pass no more, as the gate's owner.

    Args:
        gate: The gate.
        account: Whom.
        token: What a subscription was paid in.
        refund: What the owner lets the gate give back for it [nRLC]; it takes what is due, and not more than this.
    """
    if not refund:
        return Call(gate, function("Gate", "revoke").encode(account), f"revoke {account} at {gate}")
    return replace(calls.approve_and_call(token, gate, refund, from_hex(account).rjust(32, b"\0")), label=f"revoke {account} at {gate}")


def revoke_all(gate: Address) -> Call:
    """Void all grants and sell nothing any more, as the gate's owner."""
    return Call(gate, function("Gate", "revokeAll").encode(), f"revoke all at {gate}")


def set_selling(gate: Address, *, is_selling: bool) -> Call:
    """Open or close the sale of subscriptions, as the gate's owner."""
    return Call(gate, function("Gate", "setSelling").encode(is_selling), f"{'sell' if is_selling else 'stop selling'} at {gate}")


def subscribe(gate: Address, terms: GateTerms, periods: int) -> Call:
    """Pay for some periods, behind what is paid already."""
    if not terms.price:
        return Call(gate, function("Gate", "subscribe").encode(periods), f"subscribe at {gate}")
    return replace(calls.approve_and_call(terms.token, gate, NRLC(terms.price * periods)), label=f"subscribe at {gate}")


# --- what a gate says ------------------------------------------------------------------------------------------------


async def read_gate(rpc: Rpc, gate: Address) -> tuple[GateTerms, bool]:
    """
    Read what a gate is, and whether it sells subscriptions now.

    Raises:
        InputError: There is no gate at the address.
    """
    code = from_hex(await rpc.fetch(str, "eth_getCode", gate, "latest"))
    if not load_artifact("Gate").is_code(code):
        raise InputError(f"there is no gate at {gate}", hint="a gate is made by `voisin data protect` or `voisin data grant`")
    names = ("ENTRY", "TOKEN", "BEGINS", "ENDS", "IS_PUBLIC", "PRICE", "PERIOD", "RENEWALS", "is_selling")
    entry, token, begins, ends, is_public, price, period, renewals, is_selling = await _read_all(rpc, gate, names)
    terms = GateTerms(
        entry=as_address(str(entry)),
        token=as_address(str(token)),
        begins=UnixSeconds(_whole(begins)),
        ends=UnixSeconds(_whole(ends)),
        is_public=bool(is_public),
        price=NRLC(_whole(price)),
        period_s=_whole(period),
        renewals=_whole(renewals),
    )
    return terms, bool(is_selling)


async def read_member(rpc: Rpc, gate: Address, account: Address) -> Membership:
    """Read what a gate says of an account."""
    is_member, is_revoked, grant_, paid, refund = await _read_all(
        rpc, gate, ("isMember", "is_revoked", "grantOf", "subscriptions", "refundOf"), account
    )
    assert isinstance(grant_, tuple)
    assert isinstance(paid, tuple)
    begins, ends, periods = (_whole(value) for value in paid)
    return Membership(
        account=account,
        is_member=bool(is_member),
        is_revoked=bool(is_revoked),
        grant=_window(*(_whole(value) for value in grant_)),
        paid=_window(begins, ends),
        periods=periods,
        refund=NRLC(_whole(refund)),
    )


async def find_accounts(chain: Chain, gate: Address, *, since_block: int) -> tuple[Address, ...]:
    """
    List the accounts that a gate ever granted something, sold something, or revoked; in the order in which it first did.

    Args:
        chain: The chain.
        gate: The gate.
        since_block: A block before it can have done so.
    """
    names = ("Granted", "Subscribed", "Revoked")
    topics = [to_hex(topic) for topic, entries in events_by_topic("Gate").items() if entries[0].name in names]
    height = await chain.block_number()
    found: dict[Address, None] = {}
    for first in range(since_block, height + 1, _BLOCKS_AT_A_TIME):
        last = min(height, first + _BLOCKS_AT_A_TIME - 1)
        asked = {"fromBlock": hex(first), "toBlock": hex(last), "address": gate, "topics": [topics]}
        (logs,) = await chain.rpc.ask([("eth_getLogs", (asked,))])
        found |= {as_address("0x" + log.topics[1][-40:]): None for log in logs.read(tuple[RawLog, ...]) if len(log.topics) == 2}
    return tuple(found)


async def _read_all(rpc: Rpc, gate: Address, names: Sequence[str], *arguments: AbiArgument) -> list[object]:
    questions: list[Read[object]] = [Read(gate, function("Gate", name), arguments, _as_it_is) for name in names]
    return await read_many(rpc, questions)


def _as_it_is(*values: object) -> object:
    return values[0] if len(values) == 1 else values


def _whole(value: object) -> int:
    assert isinstance(value, int)
    return value


def _window(begins: int, ends: int) -> tuple[UnixSeconds, UnixSeconds] | None:
    return (UnixSeconds(begins), UnixSeconds(ends)) if ends else None
