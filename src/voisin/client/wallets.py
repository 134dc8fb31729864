"""
Finding and opening wallets: keystore files, by name in a home folder or by path, with a password that is never an argument.

A password comes from the file that a box keeps for its own wallets, from the file that `VOISIN_PASSWORD_FILE` names, or from
whoever asks for one (a prompt), in this order.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from voisin.client.network import REQUESTER_ROLE, WALLETS_FOLDER, Network
from voisin.errors import InputError
from voisin.protocol.ids import Address
from voisin.protocol.signatures import KeySigner

PASSWORD_FILE_VARIABLE = "VOISIN_PASSWORD_FILE"  # noqa: S105  the name of a variable
PasswordPrompt = Callable[[Path], str]
"""Asks a person for the password of a keystore."""


def wallet_files(home: Path) -> dict[str, Path]:
    """List the wallets of a home folder by name."""
    folder = home / WALLETS_FOLDER
    return {path.stem: path for path in sorted(folder.glob("*.json"))} if folder.is_dir() else {}


def find_wallet(home: Path, network: Network | None, name: str | Path | None) -> Path:
    """
    Find a wallet's keystore file.

    Args:
        home: The home folder.
        network: The home's network, which may name a requester's wallet.
        name: A wallet's name in the home folder, or a path; None for the requester's, or else the only one there is.

    Raises:
        InputError: There is no such wallet, or several and none is named.
    """
    known = wallet_files(home)
    if name is not None:
        return _named(known, home, name)
    if network is not None and REQUESTER_ROLE in network.wallets:
        return home / network.wallets[REQUESTER_ROLE]
    if REQUESTER_ROLE in known:
        return known[REQUESTER_ROLE]
    if len(known) == 1:
        return next(iter(known.values()))
    if not known:
        raise InputError(f"there is no wallet in {home}", hint="make one with `voisin wallet create NAME`")
    raise InputError(f"there are several wallets in {home}: {', '.join(known)}", hint="choose one with --wallet NAME")


def open_wallet(
    path: Path, home: Path, network: Network | None, *, password: str | None = None, ask: PasswordPrompt | None = None
) -> KeySigner:
    """
    Open a keystore file.

    Args:
        path: The file.
        home: The home folder.
        network: The home's network, whose password file opens its own wallets.
        password: The password, when the caller has it.
        ask: Asks a person when nothing else gives the password.

    Raises:
        InputError: The file is not a keystore, the password is wrong, or there is none.
    """
    from voisin.chain.keystore import keystore_address, load_keystore  # slow to load, and needed by few

    keystore_address(path)
    chosen = password if password is not None else _password(path, home, network, ask)
    return load_keystore(path, chosen)


def wallet_address(path: Path) -> Address:
    """
    Read a keystore's address without opening it.

    Raises:
        InputError: The file is not a keystore.
    """
    from voisin.chain.keystore import keystore_address

    return keystore_address(path)


def read_password(path: Path) -> str:
    """
    Read a password file: its first line.

    Raises:
        InputError: It cannot be read, or is empty.
    """
    try:
        lines = path.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"the password file {path} cannot be read: {error}", hint="check the path and its permissions") from None
    if not lines or not lines[0]:
        raise InputError(f"the password file {path} is empty", hint="put the password on its first line")
    return lines[0]


def _named(known: dict[str, Path], home: Path, name: str | Path) -> Path:
    if str(name) in known:
        return known[str(name)]
    path = Path(name).expanduser()
    if path.is_file():
        return path
    there = f"there are {', '.join(known)}" if known else "make it with `voisin wallet create`"
    raise InputError(f"there is no wallet {str(name)!r} in {home}, and no such file", hint=there)


def _password(path: Path, home: Path, network: Network | None, ask: PasswordPrompt | None) -> str:
    if network is not None and network.password_file:
        boxed = {(home / file).resolve() for file in network.wallets.values()}
        if path.resolve() in boxed:
            return read_password(home / network.password_file)
    if named := os.environ.get(PASSWORD_FILE_VARIABLE):
        return read_password(Path(named).expanduser())
    if ask is not None:
        return ask(path)
    raise InputError(f"the wallet {path.name} needs its password", hint=f"name a file that holds it in {PASSWORD_FILE_VARIABLE}")
