"""Wallets: `wallet create | show | balance | deposit | withdraw`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from voisin.cli.reading import amount
from voisin.cli.session import Session, command
from voisin.units import NRLC

if TYPE_CHECKING:
    from rich.console import Console

    from voisin.client import AsyncCloud

app = typer.Typer(name="wallet", help="Wallets: keystore files that sign orders and pay.")
AmountArgument = Annotated[NRLC, typer.Argument(parser=amount, metavar="AMOUNT", help='For example "1.5 RLC"; a number alone is in RLC.')]
STRENGTHS = ("standard", "light")


def create(
    session: Session,
    name: Annotated[str, typer.Argument(help="The wallet's name in the home folder.")],
    key_file: Annotated[Path | None, typer.Option(help="File with a private key in hex to take in; a new key unless given.")] = None,
    strength: Annotated[str, typer.Option(help="How much work a guess of the password costs: standard, or light.")] = "standard",
) -> None:
    """Make a wallet: a keystore file that only its password opens."""
    from voisin.chain.keystore import create_keystore
    from voisin.client.network import WALLETS_FOLDER
    from voisin.errors import InputError

    if strength not in STRENGTHS:
        raise typer.BadParameter(f"{strength!r} is not one of {', '.join(STRENGTHS)}", param_hint="--strength")
    if Path(name).name != name or name.startswith("."):
        raise typer.BadParameter(f"{name!r} is not a plain name", param_hint="NAME")
    path = session.home / WALLETS_FOLDER / f"{name}.json"
    if path.exists():
        raise InputError(f"there is a wallet {name!r} already", hint="choose another name")
    key = _read_key(key_file) if key_file is not None else None
    path.parent.mkdir(parents=True, exist_ok=True)
    signer = create_keystore(path, _new_password(session, name), key=key, strength="light" if strength == "light" else "standard")
    document = {"name": name, "address": signer.address, "path": str(path)}
    session.answer(document, lambda out: _show_pairs(out, document))


def show(session: Session) -> None:
    """Show the wallets of the home folder, and which one pays."""
    from voisin.cli.show import table
    from voisin.client.wallets import find_wallet, wallet_address, wallet_files

    chosen = find_wallet(session.home, session.known_network, session.settings.wallet).resolve()
    known = wallet_files(session.home)
    files = known if chosen in {path.resolve() for path in known.values()} else {**known, chosen.stem: chosen}
    found = [
        {"name": name, "address": wallet_address(path), "path": str(path), "pays": path.resolve() == chosen} for name, path in files.items()
    ]
    rows = [(str(wallet["name"]), str(wallet["address"]), "pays" if wallet["pays"] else "") for wallet in found]
    session.answer(found, lambda out: out.print(table("Wallets", ("name", "address", ""), rows)))


def balance(session: Session) -> None:
    """Show what the wallet has: in hand, free in the market's account, locked in open deals, and coin for gas."""
    from voisin.client.wallets import find_wallet, wallet_address

    address = wallet_address(find_wallet(session.home, session.network, session.settings.wallet))

    async def read(cloud: AsyncCloud) -> dict[str, str | int]:
        chain = cloud.links.chain
        account = await chain.hub.account(address)
        return {
            "address": address,
            "wallet": await chain.token.balance(address),
            "stake": account.stake,
            "locked": account.locked,
            "native": await chain.native_balance(address),
        }

    found = session.with_cloud(read)
    session.answer(found, lambda out: _show_balance(out, found))


def deposit(session: Session, amount: AmountArgument) -> None:
    """Move money from the wallet into its account at the market, where deals are paid from."""

    async def move(cloud: AsyncCloud) -> None:
        await cloud.deposit(amount)

    session.with_wallet(move)
    balance(session)


def withdraw(session: Session, amount: AmountArgument) -> None:
    """Move free money from the account at the market into the wallet."""

    async def move(cloud: AsyncCloud) -> None:
        await cloud.withdraw(amount)

    session.with_wallet(move)
    balance(session)


def _show_balance(out: Console, found: dict[str, str | int]) -> None:
    from voisin.cli.show import coins, money, table

    held = [("in the wallet", "wallet"), ("free in the account", "stake"), ("locked in open deals", "locked")]
    rows = [(what, money(int(found[key]))) for what, key in held]
    rows.append(("in all", money(sum(int(found[key]) for _, key in held))))
    out.print(found["address"])
    out.print(table("", ("", "RLC"), rows, right=("RLC",)))
    out.print(f"[dim]for gas[/dim] {coins(int(found['native']))} of the chain's coin")


def _show_pairs(out: Console, document: dict[str, str]) -> None:
    from voisin.cli.show import pairs

    out.print(pairs(document.items()))


def _read_key(path: Path) -> bytes:
    from voisin.errors import InputError

    try:
        return bytes.fromhex(path.read_text().strip().removeprefix("0x"))
    except (OSError, UnicodeDecodeError, ValueError):
        raise InputError(f"{path} does not hold a private key in hex", hint="it is one line of 64 hex digits") from None


def _new_password(session: Session, name: str) -> str:
    from voisin.client.wallets import read_password
    from voisin.errors import InputError

    if session.settings.password_file is not None:
        return read_password(session.settings.password_file.expanduser())
    if not session.is_interactive:
        raise InputError("the new wallet needs a password, and nobody can be asked", hint="name a file that holds it with --password-file")
    return str(typer.prompt(f"Password for {name}", hide_input=True, confirmation_prompt=True, err=True))


command(app, "create", example="voisin wallet create alice")(create)
command(app, "show", example="voisin wallet show")(show)
command(app, "balance", example="voisin wallet balance --wallet alice")(balance)
command(app, "deposit", example='voisin wallet deposit "10 RLC"')(deposit)
command(app, "withdraw", example="voisin wallet withdraw 2.5")(withdraw)
