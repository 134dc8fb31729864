"""
The wallets of a box: one keystore for each role, made at the first start, with one random password in a file beside them.

The password file guards against a keystore that is copied alone; whoever can read the whole folder owns the box.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from pathlib import Path

from voisin.chain.keystore import create_keystore, load_keystore
from voisin.protocol.signatures import KeySigner

REQUESTER, SCHEDULER, BROKER = "requester", "scheduler", "broker"
WALLETS_FOLDER, PASSWORD_FILE = "wallets", "box/password"
VAULT_KEY_FILE = "vault.key"
"""The key of the vault's records, beside the wallets: whoever copies the box's folder alone has no secrets."""


def worker_role(number: int) -> str:
    """Name the wallet of a worker; workers are counted from 1."""
    return f"worker-{number}"


@dataclass(frozen=True)
class Wallets:
    """
    The wallets of a box by role, and where they lie.

    Attributes:
        home: The home folder.
        signers: For each role its wallet.
    """

    home: Path
    signers: dict[str, KeySigner]

    @property
    def password_file(self) -> Path:
        """File with the password of all the keystores."""
        return self.home / PASSWORD_FILE

    def path(self, role: str) -> Path:
        """Keystore file of a role."""
        return wallet_path(self.home, role)


def wallet_path(home: Path, role: str) -> Path:
    """Say where the keystore of a role lies."""
    return home / WALLETS_FOLDER / f"{role}.json"


def open_wallets(home: Path, workers: int, *, has_broker: bool = False) -> Wallets:
    """
    Open the wallets of a box, and make those that do not exist yet.

    Args:
        home: The home folder.
        workers: Number of workers.
        has_broker: Whether there is a broker.

    Raises:
        InputError: A keystore is broken, or was made with another password.
    """
    password = _password(home / PASSWORD_FILE)
    roles = [REQUESTER, SCHEDULER, *([BROKER] if has_broker else []), *(worker_role(number + 1) for number in range(workers))]
    return Wallets(home, {role: _open_wallet(wallet_path(home, role), password) for role in roles})


def _open_wallet(path: Path, password: str) -> KeySigner:
    if path.exists():
        return load_keystore(path, password)
    path.parent.mkdir(parents=True, exist_ok=True)
    return create_keystore(path, password, strength="light")


def _password(path: Path) -> str:
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)
        path.write_text(secrets.token_urlsafe(32))
    return path.read_text().strip()
