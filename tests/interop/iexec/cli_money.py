"""Stories that the command line tells: wallets, accounts and categories."""

from __future__ import annotations

import json

from tests.interop.iexec.cli import Cli, Eyes
from tests.interop.iexec.world import RLC, Wallet
from voisin.protocol.signatures import KeySigner

COIN = 10**18


def wallets(cli: Cli, eyes: Eyes, other: Wallet) -> None:
    """Make wallets, look into them, and move what is in them."""
    fresh = cli.run("wallet create", "--keystoredir", "safe", "--password", "a long one")["address"]
    (sealed,) = (cli.folder / "safe").iterdir()
    assert json.loads(sealed.read_text())["address"].lower() == fresh[2:].lower()
    keystore = ("--keystoredir", "safe", "--wallet-address", fresh, "--password", "a long one")  # the plain wallet comes first otherwise
    opened = cli.run("wallet show", *keystore, "--show-private-key")["wallet"]
    assert opened["address"] == KeySigner(bytes.fromhex(opened["privateKey"][2:])).address == fresh

    shown = cli.run("wallet show")
    assert shown["wallet"] == {"address": cli.wallet.address}
    assert int(shown["balance"]["nRLC"]) == eyes.rlc(cli.wallet.address)
    assert int(shown["balance"]["wei"]) == eyes.chain("native_balance", cli.wallet.address)

    held, coins = eyes.rlc(other.address), eyes.chain("native_balance", other.address)
    sent = cli.run("wallet send-RLC", "2.5", "RLC", "--to", other.address, "--force")
    assert (sent["amount"], eyes.rlc(other.address) - held) == (str(5 * RLC // 2), 5 * RLC // 2)
    cli.run("wallet send-ether", "0.25", "ether", "--to", other.address, "--force")
    assert eyes.chain("native_balance", other.address) - coins == COIN // 4
    assert "exceed wallet balance" in cli.refusal("wallet send-RLC", "1000000", "RLC", "--to", other.address, "--force")

    cli.run("wallet send-RLC", "7", "nRLC", "--to", fresh, "--force")
    cli.run("wallet send-ether", "0.5", "ether", "--to", fresh, "--force")
    held = eyes.rlc(other.address)
    swept = cli.run("wallet sweep", "--to", other.address, "--force", *keystore)
    assert "errors" not in swept
    assert (eyes.rlc(fresh), eyes.rlc(other.address) - held) == (0, 7)
    assert eyes.chain("native_balance", fresh) < COIN // 1000


def accounts(cli: Cli, eyes: Eyes, other: Wallet) -> None:
    """Deposit, withdraw, and let others spend."""
    assert cli.run("account deposit", "20", "RLC")["amount"] == str(20 * RLC)
    assert cli.run("account withdraw", "5", "RLC")["amount"] == str(5 * RLC)
    assert eyes.stake(cli.wallet.address) == 15 * RLC
    shown = cli.run("account show")["balance"]
    assert (int(shown["stake"]), int(shown["locked"])) == (15 * RLC, 0)
    assert "exceed" in cli.refusal("account withdraw", "16", "RLC")

    def allowed() -> int:
        return int(cli.run("account allowance", other.address)["amount"], 16)  # the client prints it so

    cli.run("account approve", "3", other.address, "RLC")
    assert allowed() == 3 * RLC
    cli.run("account revoke", other.address)
    assert allowed() == 0


def categories(cli: Cli, eyes: Eyes, _other: Wallet) -> None:
    """See what the market's owner offers, and as the owner offer more."""
    found = cli.run("info")
    assert (found["hubAddress"], found["rlcAddress"]) == (cli.world.config["hub"], cli.world.config["rlc"])
    count = len(eyes.chain("hub.categories"))
    assert int(cli.run("category count")["count"]) == count
    first = eyes.chain("hub.category", 0)
    assert cli.run("category show", "0")["category"] == {
        "name": first.name, "description": first.description, "workClockTimeRef": str(first.time_ref_s)
    }  # fmt: skip
    cli.run("category init")
    cli.edit(category={"name": "moment", "description": "for a moment", "workClockTimeRef": "2"})
    assert "only category owner" in cli.refusal("category create")
    cli.run("wallet import", cli.world.config["hub_owner_private_key"], "--unencrypted", "--keystoredir", "local", "--force")
    assert int(cli.run("category create")["catid"]) == count
    assert eyes.chain("hub.category", count).name == "moment"


STORIES = {"wallets": wallets, "accounts": accounts, "categories": categories}
