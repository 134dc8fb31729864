"""
What a machine needs to know and to have before it joins a pool: where everything is, a sandbox that works, coin and stake.

What was found is kept in the worker's folder, so that the next start needs nothing but the folder.
"""

from __future__ import annotations

import hashlib
import tempfile
from ipaddress import ip_address
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit, urlunsplit

import httpx
import msgspec

from voisin.chain import Chain
from voisin.errors import FundsError, InputError, UnavailableError, VoisinError
from voisin.protocol.api import PoolView, Problem, error_of
from voisin.protocol.codec import decode, encode
from voisin.protocol.compass import PoolStatement, as_pool_url
from voisin.protocol.ids import ZERO_ADDRESS, Address, as_address
from voisin.sandbox import Job, Limits, Sandbox

JOIN_FILE: Final = "join.json"
ASK_S: Final = 10.0
MAX_ANSWER_BYTES: Final = 16 << 20
PROBE: Final = bytes.fromhex("0061736d01000000 010401600000 03020100 0503010001 071302066d656d6f72790200065f73746172740000 0a040102000b")
"""The smallest module that is a program: memory, and a start that returns at once."""


class Joined(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """
    What a worker was joined with; paths of secrets, never secrets.

    Attributes:
        pool_url: The pool's address.
        rpc_url: The chain's node.
        hub: The market's hub.
        chain_id: The chain.
        is_hub_known: Whether its owner or the home's network named the hub; else it is the pool's word, and nothing is deposited.
        wallet: The wallet's keystore file.
        password_file: File with its password; empty to ask.
        name: How the pool lists the worker.
        slots: Tasks at a time.
        memory_bytes: Memory for all of them.
        disk_bytes: Disk for all of them.
        storage_url: Where storage is; empty where the pool says it.
        first_block: The chain's block when the worker joined first: all it earns comes later.
        enclave: Where an enclave listens that does tasks with secrets; empty for none but simulated ones of this machine.
        allow_simulated: Whether enclaves may be simulated, which hide nothing.
    """

    pool_url: str
    rpc_url: str
    hub: Address
    chain_id: int
    is_hub_known: bool
    wallet: str
    password_file: str
    name: str
    slots: int
    memory_bytes: int
    disk_bytes: int
    storage_url: str = ""
    first_block: int = 0
    enclave: str = ""
    allow_simulated: bool = False


def load_joined(folder: Path) -> Joined | None:
    """
    Read what the worker of a folder was joined with; None when it never was.

    Raises:
        InputError: The record is damaged.
    """
    path = folder / JOIN_FILE
    try:
        return decode(path.read_bytes(), Joined, f"the record {path}")
    except FileNotFoundError:
        return None


def save_joined(folder: Path, joined: Joined) -> None:
    """Keep what a worker was joined with."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    partial = folder / f"{JOIN_FILE}.part"
    partial.write_bytes(msgspec.json.format(encode(joined), indent=2) + b"\n")
    partial.replace(folder / JOIN_FILE)


async def ask_pool(pool_url: str) -> PoolView:
    """
    Have a pool present itself; the addresses that it names are those by which this machine reaches them.

    Raises:
        InputError: That is no pool.
        UnavailableError: It does not answer.
    """
    url = as_pool_url(pool_url.rstrip("/"))
    data = await _get(f"{url}/v1/pool", f"the pool at {url}")
    view = decode(data, PoolView, f"the answer of {url}")
    seen = {name: seen_from(getattr(view, name), url) for name in ("rpc_url", "faucet_url", "storage_url")}
    return msgspec.structs.replace(view, hub=as_address(view.hub), workerpool=as_address(view.workerpool), **seen)


async def find_pool(workerpool: Address, index_url: str) -> str:
    """
    Look up in an index where a workerpool's pool answers; the pool itself then has to prove that it is the one.

    Raises:
        StateError: The index does not know.
        UnavailableError: It does not answer.
    """
    data = await _get(f"{index_url.rstrip('/')}/v1/workerpools/{workerpool}", f"the index at {index_url}")
    statement = decode(data, PoolStatement, f"the answer of {index_url}")
    return seen_from(statement.api_url, index_url)


async def ask_faucet(faucet_url: str, wallet: Address) -> None:
    """
    Ask for the first coin and stake.

    Raises:
        VoisinError: The faucet gives nothing; what it says.
        UnavailableError: It does not answer.
    """
    await _get(f"{faucet_url.rstrip('/')}/v1/gifts/{wallet}", f"the faucet at {faucet_url}", method="POST")


def seen_from(url: str, other: str) -> str:
    """Give an address as this machine must write it: a service that calls itself local is where whoever named it is."""
    parts, others = urlsplit(url), urlsplit(other)
    if not url or not _is_local(parts.hostname) or _is_local(others.hostname):
        return url
    host = f"[{others.hostname}]" if ":" in (others.hostname or "") else others.hostname
    return urlunsplit((parts.scheme, f"{host}:{parts.port}" if parts.port else f"{host}", parts.path, parts.query, ""))


def _is_local(host: str | None) -> bool:
    try:
        address = ip_address(host or "")
    except ValueError:
        return host in (None, "localhost")
    return address.is_loopback or address.is_unspecified


async def check_sandbox() -> None:
    """
    Run a program that does nothing, as every task will be run.

    Raises:
        UnavailableError: This machine cannot.
    """
    hint = "install it with its worker's parts: pip install 'voisin[worker]'; and see that the disk of temporary files is not full"
    with tempfile.TemporaryDirectory(prefix="voisin-probe-") as scratch:
        folder = Path(scratch)
        module = folder / "probe.wasm"
        module.write_bytes(PROBE)
        job = Job(
            module=module, module_sha256=hashlib.sha256(PROBE).hexdigest(), output_dir=folder / "out", limits=Limits(memory_bytes=1 << 20)
        )
        try:
            async with Sandbox(folder / "cache", slots=1, scratch_dir=folder / "scratch") as sandbox:
                outcome = await sandbox.run(job)
        except (VoisinError, OSError, ImportError) as error:
            raise UnavailableError(f"this machine's sandbox does not work: {error}", hint=hint) from None
    if outcome.cause is not None:
        raise UnavailableError(f"this machine's sandbox does not work: a program that does nothing ends with {outcome.cause}", hint=hint)


async def check_funds(chain: Chain, wallet: Address, faucet_url: str) -> str:
    """
    Make sure that a wallet can pay for gas; ask the faucet, if there is one, when it cannot, or has no stake.

    Returns:
        What it still lacks and can begin without, in words; empty when it lacks nothing.

    Raises:
        FundsError: It has no coin for gas.
    """
    if faucet_url and not (await chain.native_balance(wallet) and (await chain.hub.account(wallet)).stake):
        await ask_faucet(faucet_url, wallet)
    gas_price = int(str(await chain.rpc.call("eth_gasPrice")), 16)
    if gas_price and not await chain.native_balance(wallet):
        hint = f"send some of the coin of chain {chain.chain_id} to {wallet}, and join again"
        raise FundsError(f"the wallet {wallet} has no coin to pay gas with", hint=hint)
    account, held = await chain.hub.account(wallet), await chain.token.balance(wallet)
    if account.stake or account.locked:
        return ""
    if held:
        return "its account at the market holds no stake; what tasks need is deposited from the wallet"
    return f"the wallet {wallet} has no RLC and no stake: tasks that ask for a stake are refused until it has some"


def is_same_market(view: PoolView, *, hub: Address, chain_id: int) -> bool:
    """Tell whether a pool works for a hub."""
    return hub in (ZERO_ADDRESS, view.hub) and chain_id in (0, view.chain_id)


async def _get(url: str, what: str, *, method: str = "GET") -> bytes:
    try:
        async with httpx.AsyncClient(timeout=ASK_S) as client:
            answer = await client.request(method, url)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise UnavailableError(f"{what} does not answer ({error or type(error).__name__})", hint="check the address") from None
    data = answer.content[:MAX_ANSWER_BYTES]
    if answer.is_success:
        return data
    try:
        problem = msgspec.json.decode(data, type=Problem)
    except msgspec.MsgspecError:
        raise InputError(f"{what} answers {answer.status_code}", hint="check the address") from None
    raise error_of(problem)
