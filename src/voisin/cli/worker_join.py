"""Joining a pool: finding everything that is needed, and working until told to stop."""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import anyio
import msgspec
import structlog
import typer

from voisin.chain import open_chain
from voisin.chain.keystore import create_keystore
from voisin.cli.detaching import Beginning, Report, detach
from voisin.cli.session import Session
from voisin.cli.show import SIMULATED_WORDS
from voisin.cli.until import until_signal
from voisin.client.network import WALLETS_FOLDER, Network
from voisin.client.wallets import find_wallet, open_wallet, read_password, wallet_files
from voisin.errors import InputError, StateError, VoisinError
from voisin.protocol.ids import ZERO_ADDRESS, Address, as_address
from voisin.protocol.signatures import KeySigner
from voisin.service.logs import configure_logs
from voisin.units import NRLC, NRLC_PER_RLC
from voisin.worker import Connected, Disconnected, News, WorkerSettings, run_worker
from voisin.worker.enclave.distant import find_enclaves
from voisin.worker.enclave.reaching import read_place
from voisin.worker.life.joining import Joined, ask_pool, check_funds, check_sandbox, find_pool, is_same_market, load_joined, save_joined
from voisin.worker.life.owner import is_running

WORKERS_FOLDER, LOG_FILE = "workers", "worker.log"
DEFAULT_NAME = "worker"
DEPOSIT_CAP = NRLC(10 * NRLC_PER_RLC)


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinRequest:
    """
    What `voisin worker join` was asked for; what is empty or 0 was not said.

    Attributes:
        pool: The pool's address, or its workerpool's.
        name: How the pool lists the worker.
        slots: Tasks at a time.
        memory_bytes: Memory for all of them.
        disk_bytes: Disk for all of them.
        folder: Where everything is kept.
        node: The chain's node.
        hub: The hub that is expected.
        index: The index that knows where pools are.
        enclave: Where an enclave listens.
        allow_simulated: Whether enclaves may be simulated.
        is_detached: Whether it goes on in the background.
    """

    pool: str
    name: str
    slots: int
    memory_bytes: int
    disk_bytes: int
    folder: Path | None
    node: str
    hub: str
    index: str
    enclave: str
    allow_simulated: bool
    is_detached: bool


def join_pool(session: Session, request: JoinRequest) -> None:
    """
    Join a pool and work for it.

    Raises:
        StateError: A worker runs in the folder already.
        InputError: Something that is needed is not known, or wrong.
        FundsError: The wallet has no coin for gas.
        UnavailableError: The pool, its chain or this machine's sandbox does not answer.
    """
    name, wallet = _wallet_path(session, request)
    folder = (request.folder or session.home / WORKERS_FOLDER / name).expanduser().absolute()
    if is_running(folder):
        raise StateError(f"a worker runs in {folder} already", hint="see it with `voisin worker status`, or join with another --wallet")
    known = load_joined(folder)
    session.start_logs()
    joined, signer, notes = _prepare(session, request, wallet, known)
    if joined != known:
        save_joined(folder, joined)
    for note in notes:
        session.err.print(f"note: {note}", soft_wrap=True)
    _run(session, _settings(joined, folder), signer, is_detached=request.is_detached)


def _prepare(session: Session, request: JoinRequest, wallet: Path, known: Joined | None) -> tuple[Joined, KeySigner, list[str]]:
    if known is not None and not request.pool:
        joined, faucet_url = _changed(known, request), ""
    else:
        joined, faucet_url = anyio.run(_find, session, request, wallet)
    signer, password_file, notes = _unlock(session, wallet, joined.password_file)
    joined = msgspec.structs.replace(joined, password_file=password_file)
    first_block, lacks = anyio.run(_check, joined, signer.address, faucet_url)
    if known is not None and known.hub == joined.hub:
        joined = msgspec.structs.replace(joined, first_block=known.first_block)
    elif not joined.first_block:
        joined = msgspec.structs.replace(joined, first_block=first_block)
    played = [f"enclaves may be {SIMULATED_WORDS}"] if joined.allow_simulated else []
    return joined, signer, [*notes, *([lacks] if lacks else []), *played]


def _changed(known: Joined, request: JoinRequest) -> Joined:
    """Take what was said anew, and what was known for the rest."""
    said = {
        "name": request.name,
        "slots": request.slots,
        "memory_bytes": request.memory_bytes,
        "disk_bytes": request.disk_bytes,
        "rpc_url": request.node,
        "hub": as_address(request.hub) if request.hub else "",
        "is_hub_known": bool(request.hub),
        "enclave": request.enclave,
        "allow_simulated": request.allow_simulated,
    }
    return msgspec.structs.replace(known, **{field: value for field, value in said.items() if value})


async def _find(session: Session, request: JoinRequest, wallet: Path) -> tuple[Joined, str]:
    """Find pool, chain and hub; answers the faucet's address, too."""
    network = session.known_network
    view = await ask_pool(pool_url := await _pool_url(request, network))
    hub = as_address(request.hub) if request.hub else network.hub if network is not None else ZERO_ADDRESS
    chain_id = network.chain_id if network is not None else 0
    if not is_same_market(view, hub=hub, chain_id=chain_id):
        hint = "check the pool's address and --hub, or join from another --home"
        raise InputError(f"the pool works for hub {view.hub} of chain {view.chain_id}, not for {hub}", hint=hint)
    if request.pool.startswith("0x") and view.workerpool != as_address(request.pool):
        raise InputError(f"the pool at {pool_url} is that of workerpool {view.workerpool}", hint="ask the workerpool's owner")
    rpc_url = request.node or (network.rpc_url if network is not None else "") or view.rpc_url
    if not rpc_url:
        raise InputError(f"the pool names no node of chain {view.chain_id}", hint="name one with --node URL")
    joined = Joined(
        pool_url=pool_url,
        rpc_url=rpc_url,
        hub=view.hub,
        chain_id=view.chain_id,
        is_hub_known=hub != ZERO_ADDRESS,
        wallet=str(wallet),
        password_file="",
        name=request.name or wallet.stem,
        slots=request.slots or os.cpu_count() or 1,
        memory_bytes=request.memory_bytes or 2048 << 20,
        disk_bytes=request.disk_bytes or 10240 << 20,
        storage_url=view.storage_url,
        enclave=request.enclave,
        allow_simulated=request.allow_simulated,
    )
    return joined, view.faucet_url


async def _pool_url(request: JoinRequest, network: Network | None) -> str:
    if request.pool.startswith(("http://", "https://")):
        return request.pool.rstrip("/")
    if request.pool:
        index = request.index or (network.index_url if network is not None else "")
        if not index:
            raise InputError("no index is known here that could say where the workerpool answers", hint="name one with --index URL")
        return await find_pool(as_address(request.pool), index)
    if network is None or not network.pool_url:
        raise InputError("no pool is known here", hint="give the pool's address: voisin worker join http://pool.example:13000")
    return network.pool_url


async def _check(joined: Joined, wallet: Address, faucet_url: str) -> tuple[int, str]:
    """Look at the chain, the sandbox, the enclave and the money; answers the chain's block, and what the wallet lacks."""
    await check_sandbox()
    if joined.enclave:
        await find_enclaves(read_place(joined.enclave), wallet, allow_simulated=joined.allow_simulated)
    async with open_chain(joined.rpc_url, joined.hub) as chain:
        if chain.chain_id != joined.chain_id:
            hint = "name a node of the right chain with --node URL"
            raise InputError(f"the node at hand is of chain {chain.chain_id}, and the pool works on chain {joined.chain_id}", hint=hint)
        return await chain.block_number(), await check_funds(chain, wallet, faucet_url)


# --- the wallet ------------------------------------------------------------------------------------------------------


def _wallet_path(session: Session, request: JoinRequest) -> tuple[str, Path]:
    """Choose the wallet, which need not be there yet; answers its name, too."""
    chosen = session.settings.wallet
    if request.folder is not None and chosen is None and (known := load_joined(request.folder.expanduser().absolute())) is not None:
        return Path(known.wallet).stem, Path(known.wallet)
    named = chosen or (None if wallet_files(session.home) else DEFAULT_NAME)
    path = session.home / WALLETS_FOLDER / f"{named}.json"
    if named is not None and Path(named).name == named and not path.exists() and not Path(named).expanduser().is_file():
        return named, path
    found = find_wallet(session.home, session.known_network, named).absolute()
    return found.stem, found


def _unlock(session: Session, wallet: Path, remembered: str) -> tuple[KeySigner, str, list[str]]:
    """Open the wallet, or make it; answers the file with its password (empty: it was asked for), and what to tell its owner."""
    own = wallet.with_suffix(".password")
    given = session.password_file or session.settings.password_file
    file = given.expanduser().absolute() if given is not None else Path(remembered) if remembered else own if own.exists() else None
    if wallet.exists():
        if file is not None:
            return open_wallet(wallet, session.home, session.known_network, password=read_password(file)), str(file), []
        return session.unlock(wallet), "", []
    password, file, notes = _new_password(session, wallet, file)
    wallet.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    signer = create_keystore(wallet, password)
    return signer, str(file or ""), [f"made the wallet {signer.address} in {wallet}", *notes]


def _new_password(session: Session, wallet: Path, file: Path | None) -> tuple[str, Path | None, list[str]]:
    """Choose a new wallet's password: from a file, as typed, or a random one that is kept in a file beside the wallet."""
    if file is not None and file.exists():
        return read_password(file), file, []
    if file is None and session.is_interactive:
        question = "Password for the new wallet (nothing: a random one is kept in a file beside it)"
        typed = str(typer.prompt(question, default="", show_default=False, hide_input=True, confirmation_prompt=True, err=True))
        if typed:
            return typed, None, []
    target = file or wallet.with_suffix(".password")
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    password = secrets.token_urlsafe(32)
    with os.fdopen(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as kept:
        kept.write(f"{password}\n")
    return password, target, [f"its password is in {target}; keep both, for they are the money that it earns"]


# --- working ---------------------------------------------------------------------------------------------------------


def _settings(joined: Joined, folder: Path) -> WorkerSettings:
    return WorkerSettings(
        name=joined.name,
        pool_url=joined.pool_url,
        rpc_url=joined.rpc_url,
        folder=folder,
        hub=joined.hub,
        storage_url=joined.storage_url,
        slots=joined.slots,
        memory_bytes=joined.memory_bytes,
        disk_bytes=joined.disk_bytes,
        enclave=joined.enclave,
        allow_simulated=joined.allow_simulated,
        deposit_cap=DEPOSIT_CAP if joined.is_hub_known else NRLC(0),
    )


def _run(session: Session, settings: WorkerSettings, signer: KeySigner, *, is_detached: bool) -> None:
    document = {
        "worker": signer.address,
        "name": settings.name,
        "pool": settings.pool_url,
        "slots": settings.slots,
        "folder": str(settings.folder),
    }
    if not is_detached:
        _work(settings, signer, lambda beginning: _say_ready(session, document, beginning, "Ctrl-C stops"))
        return
    log_file = settings.folder / LOG_FILE

    def work(report: Report) -> None:
        configure_logs()
        _work(settings, signer, report)

    child, beginning = detach(work, log_file)
    if not beginning.is_ready:
        raise StateError(beginning.words, hint=beginning.hint or f"its log is {log_file}")
    _say_ready(session, {**document, "pid": child, "log": str(log_file)}, beginning, "`voisin worker leave` stops it")


def _say_ready(session: Session, document: dict[str, object], beginning: Beginning, stop: str) -> None:
    words = f"ready: {document['name']} ({document['worker']}) works for {document['pool']}; {stop}"
    if beginning.words:
        session.err.print(f"note: {beginning.words}", soft_wrap=True)
    session.answer(document, lambda out: out.print(words, soft_wrap=True))
    sys.stdout.flush()


def _work(settings: WorkerSettings, signer: KeySigner, report: Report) -> None:
    """Work until a signal comes or the owner has the worker leave."""
    log = structlog.get_logger("voisin.worker")
    began: list[Beginning] = []

    def hear(news: News) -> None:
        if began or not isinstance(news, Connected | Disconnected):
            return
        words = "" if isinstance(news, Connected) else f"{news.reason}; it is tried again until the pool is there"
        began.append(Beginning(is_ready=True, words=words))
        report(began[0])

    anyio.run(_until_over, settings, signer, hear)
    log.info("worker_stopped", worker=signer.address)


async def _until_over(settings: WorkerSettings, signer: KeySigner, hear: Callable[[News], None]) -> None:
    failure: list[VoisinError] = []
    async with anyio.create_task_group() as tasks:

        async def work() -> None:
            try:
                await run_worker(settings, signer, on_event=hear)
            except VoisinError as error:
                failure.append(error)
            tasks.cancel_scope.cancel()

        tasks.start_soon(work)
        await until_signal()
        tasks.cancel_scope.cancel()
    if failure:
        raise failure[0]
