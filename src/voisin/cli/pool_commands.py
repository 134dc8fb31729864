"""Looking after a pool: `pool status | drain | resume | rebuild`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from voisin.cli.session import Session, command

if TYPE_CHECKING:
    from voisin.pool.wire.operator import SchedulerStatus

DatabaseOption = Annotated[
    str, typer.Option(metavar="URL", help="The pool's database; VOISIN_POOL_DATABASE_URL, or the one in the home folder, unless given.")
]


def status(
    session: Session,
    pool: Annotated[str, typer.Argument(metavar="[POOL]", help="Address of one of its schedulers; the home's own pool unless given.")] = "",
) -> None:
    """Show the schedulers of a pool: their workers, load, stuck tasks and why, money locked and earned."""
    import anyio

    from voisin.cli.pool_watching import ask_all
    from voisin.errors import InputError

    where = pool or session.network.pool_url
    if not where:
        raise InputError("no pool is known here", hint="give the address of one of its schedulers")
    found = anyio.run(ask_all, where)
    session.answer([_document(each) for each in found], lambda out: out.print(*map(_table, found), sep="\n\n"))


def drain(
    session: Session,
    database: DatabaseOption = "",
    wait: Annotated[bool, typer.Option(help="Wait until the pool has finished what it has.")] = True,
) -> None:
    """Have a pool take no new deals: its offers are closed, it finishes what it has, and this says when that is done."""
    import anyio

    from voisin.cli.pool_watching import drain_pool

    where = _database(session, database)
    left = anyio.run(drain_pool, where, wait, lambda words: session.err.print(words))
    done = "the pool is drained: it has no deals and no offers" if not left else f"the pool drains: {left} open deals are left"
    session.answer({"open_deals": left, "is_drained": not left and wait}, lambda out: out.print(done))


def resume(session: Session, database: DatabaseOption = "") -> None:
    """Have a pool that was drained take deals again."""
    import anyio

    from voisin.cli.pool_watching import resume_pool

    anyio.run(resume_pool, _database(session, database))
    session.answer({"is_draining": False}, lambda out: out.print("the pool takes deals again"))


def rebuild(
    session: Session,
    database: Annotated[str, typer.Argument(metavar="URL", help="An empty database, for example sqlite:///pool.db.")],
    description: Annotated[str, typer.Option(help="The pool's description in the registry; names its entry.")] = "voisin-pool",
) -> None:
    """Write a pool's records anew from chain and storage into an empty database; the wallet is the pool's."""
    import anyio

    from voisin.cli.pool_watching import rebuild_pool

    made = anyio.run(rebuild_pool, session.network, session.signer, description, database)
    tasks = ", ".join(f"{count} {phase}" for phase, count in sorted(made.tasks.items())) or "none"
    bags = ", ".join(f"{count} {stage}" for stage, count in sorted(made.bags.items())) or "none"
    words = f"rebuilt up to block {made.next_block - 1}: {made.deals} deals; bags: {bags}; other tasks: {tasks}"
    if made.without_leaves:
        words += f"; the storage lacks the leaves of {', '.join(made.without_leaves)}: demands for these cannot be answered"
    session.answer(made, lambda out: out.print(words))


def _database(session: Session, given: str) -> str:
    """Find the pool's database: the one that is named, or the only one in the home folder."""
    from voisin.errors import InputError

    if named := given or os.environ.get("VOISIN_POOL_DATABASE_URL", ""):
        return named
    found = sorted({*session.home.glob("pool*.db"), *session.home.glob("*/pool*.db")})
    if len(found) != 1:
        names = ", ".join(str(path) for path in found) or "none"
        raise InputError(f"which pool is meant is not clear: {names} in the home folder", hint="name its database with --database")
    return f"sqlite:///{Path(found[0])}"


def _document(found: SchedulerStatus) -> dict[str, object]:
    import msgspec

    document: dict[str, object] = msgspec.to_builtins(found)
    return document


def _table(found: SchedulerStatus) -> object:
    from rich.console import Group

    from voisin.cli.show import coins, counted, moment, money, pairs, short, table

    state = "drained" if found.is_drained else "draining" if found.is_draining else "live" if found.is_live else "reading the chain"
    lead = "; keeps the offers" if found.leads else ""
    tasks = ", ".join(f"{count} {phase}" for phase, count in found.tasks.items()) or "none open"
    rows = [
        ("scheduler", f"{found.scheduler} at {found.url}"),
        ("state", f"{state}; lease for {found.lease_left_s:.1f} s{lead}"),
        ("workers", f"{counted(found.workers_online, 'worker')} online, {found.busy} of {counted(found.slots, 'slot')} busy"),
        ("deals", f"{counted(found.deals, 'deal')}, {found.bags} of them settled as bags"),
        ("tasks", tasks),
        *([("in bags", ", ".join(f"{count:,} {state}" for state, count in found.bag_tasks.items()))] if found.bag_tasks else []),
        ("offers", f"{found.offers} in the market"),
        ("money", f"{money(found.free)} RLC free, {money(found.locked)} locked, {money(found.earned)} earned since it started"),
        ("fees", f"{coins(int(found.fees))} coins for transactions"),
        *(("trouble", why) for why in found.troubles),
    ]
    tables = []
    if found.stuck:
        stuck = [(short(task.task_id), str(task.index), task.phase, moment(task.since), task.why) for task in found.stuck]
        tables.append(table("Stuck tasks", ("task", "index", "phase", "since", "why"), stuck, right=("index",)))
    if found.stuck_bags:
        bags = [(short(bag.deal_id), f"{bag.left:,}", moment(bag.since), bag.why) for bag in found.stuck_bags]
        tables.append(table("Stuck bags", ("deal", "tasks left", "since", "why"), bags, right=("tasks left",)))
    return Group(pairs(rows), *tables)


def add_to(app: typer.Typer) -> None:
    """Add the commands to the pool's group."""
    command(app, "status", example="voisin pool status http://pool.example:13000")(status)
    command(app, "drain", example="voisin pool drain --database postgresql://user@host/pool")(drain)
    command(app, "resume", example="voisin pool resume")(resume)
    command(app, "rebuild", example="voisin pool rebuild sqlite:///pool.db --wallet scheduler")(rebuild)
