"""The `iexec` command line in a folder of its own, and eyes that look at what it did from elsewhere."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import httpx

from tests.interop.iexec.typist import Typed, Typist
from tests.interop.iexec.world import Wallet, World
from voisin.chain import open_chain
from voisin.protocol.ids import Address

NO_WALLET = (
    "init,info,app init,app check-secret,category init,category show,category count,dataset init,dataset check-secret,dataset encrypt",
    "deal show,order show,order init,orderbook app,orderbook dataset,orderbook workerpool,orderbook requester,result decrypt",
    "task show,wallet create,wallet import,workerpool init",
)
WITHOUT_WALLET = frozenset(name for names in NO_WALLET for name in names.split(","))
"""Commands that know no wallet, or get theirs by their own options."""


@dataclass
class Cli:
    """
    Types commands as a person with a wallet in the folder does, and notes which.

    Attributes:
        world: The box.
        typist: Who types.
        folder: Where the project's files are.
        wallet: Whose wallet lies there.
        used: Commands that did what they should.
    """

    world: World
    typist: Typist
    folder: Path
    wallet: Wallet
    used: set[str] = field(default_factory=set)

    def run(self, command: str, *words: str) -> dict[str, Any]:
        """Run a command; answers what it prints for programs."""
        done = self._type(command, words)
        assert done.code == 0, f"iexec {command} {' '.join(words)}: {done.stdout}{done.stderr}"
        answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        assert answer.pop("ok") is True
        assert "fail" not in answer, answer
        self.used.add(command)
        return answer

    def refusal(self, command: str, *words: str) -> str:
        """Run a command that is refused; answers why."""
        done = self._type(command, words)
        assert done.code != 0, f"iexec {command} {' '.join(words)} was not refused: {done.stdout}"
        failure = json.loads(done.stderr.splitlines()[-1])
        assert failure["ok"] is False
        return str(failure["error"]["message"])

    def _type(self, command: str, words: tuple[str, ...]) -> Typed:
        group, _, rest = command.partition(" ")
        keystore = () if command in WITHOUT_WALLET or "--keystoredir" in words else ("--keystoredir", "local")
        line = (rest or group, *words, *keystore, "--raw")
        return self.typist.type(f"iexec-{group}.js" if rest else "iexec.js", *line, folder=self.folder, HOME=str(self.folder))

    def read(self, name: str) -> Any:
        """Read a file of the project."""
        return json.loads((self.folder / name).read_text())

    def edit(self, **changes: dict[str, Any]) -> None:
        """Edit `iexec.json` as a person would: some members of its sections."""
        project = self.read("iexec.json")
        for section, members in changes.items():
            project[section] |= members
        (self.folder / "iexec.json").write_text(json.dumps(project))


def open_project(world: World, typist: Typist, name: str, wallet: Wallet) -> Cli:
    """Make a project as its user does: our command writes the chain's file, theirs the rest."""
    folder = world.folder / f"cli-{name}"
    folder.mkdir()
    cli = Cli(world, typist, folder, wallet)
    cli.run("init", "--skip-wallet")
    (folder / "chain.json").unlink()
    world.voisin("box", "config", "--for", "iexec", "--output", str(folder / "chain.json"))
    imported = cli.run("wallet import", wallet.key, "--unencrypted", "--keystoredir", "local")
    assert imported["address"] == wallet.address
    return cli


@dataclass(frozen=True)
class Eyes:
    """Looks at chain and market with programs that are not theirs."""

    world: World

    def chain(self, what: str, *arguments: Any) -> Any:
        """Read the chain: `part.method` of our chain client."""

        async def look() -> Any:
            async with open_chain(self.world.config["rpc_url"], self.world.config["hub"]) as chain:
                part: Any = chain
                for name in what.split("."):
                    part = getattr(part, name)
                return await part(*arguments)

        return anyio.run(look)

    def rlc(self, address: str) -> int:
        """What somebody holds [nRLC]."""
        return int(self.chain("token.balance", Address(address)))

    def stake(self, address: str) -> int:
        """What somebody has free in the hub [nRLC]."""
        return int(self.chain("hub.account", Address(address)).stake)

    def owner(self, entry: str) -> str:
        """Who owns an entry of a registry."""
        return str(self.chain("registries.owner_of", Address(entry)))

    def market(self, path: str, **query: Any) -> Any:
        """Ask the market over plain HTTP."""
        query = {"chainId": self.world.config["chain_id"], **query}
        return httpx.get(self.world.config["market_url"] + path, params=query, timeout=20).json()
