"""
What every command shares: the options that all of them take, where the answer goes, and how the market is reached.

Everything heavy is imported when it is used, so that `voisin --help` answers at once.
"""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from voisin.cli.settings import CliSettings
    from voisin.client import AsyncCloud, Network
    from voisin.protocol.signatures import KeySigner

T = TypeVar("T")
Command = TypeVar("Command", bound=Callable[..., None])

_PANEL = "Options of every command"
_WIDE = 150

HomeOption = Annotated[
    Path | None, typer.Option("--home", metavar="FOLDER", help="Home folder with box.json and wallets.", rich_help_panel=_PANEL)
]
WalletOption = Annotated[
    str | None,
    typer.Option(
        "--wallet",
        metavar="NAME|FILE",
        help="Wallet that signs and pays: a name in the home folder, or a keystore file.",
        rich_help_panel=_PANEL,
    ),
]
PasswordOption = Annotated[
    Path | None,
    typer.Option("--password-file", metavar="FILE", help="File with the wallet's password; asked for otherwise.", rich_help_panel=_PANEL),
]
NetworkOption = Annotated[
    str | None,
    typer.Option(
        "--network",
        metavar="NAME",
        help="Public network to use instead of the home folder's market, for example arbitrum.",
        rich_help_panel=_PANEL,
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Answer with one JSON document, for programs.", rich_help_panel=_PANEL)]


@dataclass(frozen=True, slots=True)
class Globals:
    """The options that every command takes."""

    home: Path | None = None
    wallet: str | None = None
    password_file: Path | None = None
    as_json: bool = False
    network: str | None = None

    def over(self, other: Globals) -> Globals:
        """Prefer these to others where these are given."""
        return Globals(
            home=self.home or other.home,
            wallet=self.wallet or other.wallet,
            password_file=self.password_file or other.password_file,
            as_json=self.as_json or other.as_json,
            network=self.network or other.network,
        )


class Session:
    """One command under way."""

    def __init__(self, given: Globals) -> None:
        """
        Args:
            given: The options of every command, as given.
        """
        self._given = given
        self.as_json = given.as_json

    @cached_property
    def settings(self) -> CliSettings:
        """Settings from `voisin.toml`, then the environment, then the options."""
        from voisin.cli.settings import read_settings

        return read_settings(self._given)

    @cached_property
    def home(self) -> Path:
        """The home folder."""
        return self.settings.home.expanduser()

    @property
    def password_file(self) -> Path | None:
        """The password file that was given as an option, which comes before everything else."""
        return self._given.password_file.expanduser() if self._given.password_file is not None else None

    @cached_property
    def network(self) -> Network:
        """The market: the public network that was named, or else the home's."""
        from voisin.client import load_network, named_network

        own = self.settings
        if own.network is None:
            return load_network(self.home)
        return named_network(own.network, rpc_url=own.rpc_url or "", market_url=own.market_url or "")

    @property
    def known_network(self) -> Network | None:
        """The market, if there is one."""
        from voisin.client.network import NETWORK_FILE

        return self.network if self.settings.network or (self.home / NETWORK_FILE).exists() else None

    @cached_property
    def out(self) -> Console:
        """Where answers go."""
        from rich.console import Console

        return Console(highlight=False, soft_wrap=False, width=None if sys.stdout.isatty() else _WIDE)

    @cached_property
    def err(self) -> Console:
        """Where everything goes that is not the answer."""
        from rich.console import Console

        return Console(stderr=True, highlight=False, width=None if sys.stderr.isatty() else _WIDE)

    @property
    def is_interactive(self) -> bool:
        """Whether somebody can be asked."""
        return sys.stdin.isatty() and sys.stderr.isatty()

    def answer(self, document: object, show: Callable[[Console], None]) -> None:
        """
        Give the command's answer.

        Args:
            document: What a program gets with `--json`.
            show: Writes what a person sees.
        """
        if not self.as_json:
            show(self.out)
            return
        import msgspec

        sys.stdout.write(msgspec.json.format(msgspec.json.encode(document, enc_hook=str), indent=2).decode() + "\n")

    def ask_password(self, path: Path) -> str:
        """
        Get the password of a keystore: from the settings' file, or from whoever sits there.

        Raises:
            InputError: There is no file, and nobody to ask.
        """
        if self.settings.password_file is not None:
            from voisin.client.wallets import read_password

            return read_password(self.settings.password_file.expanduser())
        if not self.is_interactive:
            from voisin.errors import InputError

            hint = "name a file that holds it with --password-file or VOISIN_PASSWORD_FILE"
            raise InputError(f"the wallet {path.name} needs its password, and nobody can be asked", hint=hint)
        return str(typer.prompt(f"Password of {path.name}", hide_input=True, err=True))

    @cached_property
    def signer(self) -> KeySigner:
        """
        The wallet, open. It is opened before anything else is under way, so that Ctrl-C at the password's prompt ends the command.

        Raises:
            InputError: There is none, or its password is wrong or missing.
        """
        from voisin.client.wallets import find_wallet

        return self.unlock(find_wallet(self.home, self.network, self.settings.wallet))

    def unlock(self, wallet: Path) -> KeySigner:
        """
        Open a wallet, with or without a market.

        Args:
            wallet: Its keystore file.

        Raises:
            InputError: It is none, or its password is wrong or missing.
        """
        from voisin.client.wallets import open_wallet, read_password

        password = read_password(self.password_file) if self.password_file is not None else None
        return open_wallet(wallet, self.home, self.known_network, password=password, ask=self.ask_password)

    def with_wallet(self, work: Callable[[AsyncCloud], Awaitable[T]]) -> T:
        """Open the wallet, connect to the home's market, do some work there, and answer its result."""
        return self._connected(work, self.signer)

    def with_cloud(self, work: Callable[[AsyncCloud], Awaitable[T]]) -> T:
        """Connect to the home's market without a wallet, do some work there, and answer its result."""
        return self._connected(work, None)

    def start_logs(self) -> None:
        """Let warnings through to standard error, and everything when the command is debugged."""
        import logging

        from voisin.service.logs import configure_logs

        configure_logs(logging.INFO if os.environ.get("VOISIN_DEBUG") else logging.WARNING)

    def _connected(self, work: Callable[[AsyncCloud], Awaitable[T]], signer: KeySigner | None) -> T:
        import anyio

        from voisin.client import connect_async

        self.start_logs()

        async def connected() -> T:
            async with connect_async(self.home, self.network, wallet=signer) as cloud:
                return await work(cloud)

        return anyio.run(connected)


_SHARED = {
    "home": (HomeOption, None),
    "wallet": (WalletOption, None),
    "password_file": (PasswordOption, None),
    "network": (NetworkOption, None),
    "as_json": (JsonOption, False),
}
"""Options of every command: type and default of each."""


def command(app: typer.Typer, name: str, *, example: str) -> Callable[[Command], Command]:
    """
    Register a function as a command; its first parameter gets the `Session`, and every command's options are added.

    Args:
        app: The group it belongs to.
        name: What a person types.
        example: One complete command line for the help.
    """

    def register(function: Command) -> Command:
        app.command(name, epilog=f"Example: {example}")(_shell(function))
        return function

    return register


def bare_command(app: typer.Typer, *, example: str) -> Callable[[Command], Command]:
    """
    Register what a group does when no command of its own follows its name.

    Args:
        app: The group.
        example: One complete command line for the help.
    """

    def register(function: Command) -> Command:
        app.callback(invoke_without_command=True, epilog=f"Example: {example}")(_shell(function))
        return function

    return register


def _shell(function: Callable[..., None]) -> Callable[..., None]:
    """Wrap a function into what Typer calls: it gets a session, and the options of every command become that session."""

    def shell(context: typer.Context, **values: object) -> None:
        here = Globals(**{key: values.pop(key) for key in _SHARED})  # type: ignore[arg-type]
        above = context.obj if isinstance(context.obj, Globals) else Globals()
        context.obj = here.over(above)
        if context.invoked_subcommand is None:
            function(Session(context.obj), **values)

    parameters = _parameters(function)
    shell.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    shell.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    shell.__doc__ = function.__doc__
    return shell


def _parameters(function: Callable[..., None]) -> list[inspect.Parameter]:
    """List what the command line must give: what the function wants after its session, then every command's options."""
    own = list(inspect.signature(function, eval_str=True).parameters.values())[1:]
    keyword = inspect.Parameter.KEYWORD_ONLY
    return [
        inspect.Parameter("context", keyword, annotation=typer.Context),
        *(parameter.replace(kind=keyword) for parameter in own),
        *(inspect.Parameter(name, keyword, default=default, annotation=kind) for name, (kind, default) in _SHARED.items()),
    ]
