"""Example dapps on a real chain: deployed and called by people with wallets."""

from __future__ import annotations

from dataclasses import dataclass

from eth_abi.abi import encode

from tests.support.chain_rig import APP_PRICE, POOL_PRICE, Rig
from tests.support.compiled import double_code
from tests.support.examples import example
from voisin.chain import Call
from voisin.chain.abi_codec import AbiArgument, AbiValue
from voisin.chain.calls import order_tuple
from voisin.chain.functions import Function
from voisin.chain.reading import Read, read
from voisin.protocol.eip712 import sign_order
from voisin.protocol.ids import Address, Hash32
from voisin.protocol.orders import AppOrder, WorkerpoolOrder
from voisin.protocol.signatures import KeySigner


@dataclass
class Dapp:
    """
    An example dapp.

    Attributes:
        rig: The chain and its people.
        file: Its source in `contracts/examples`.
        address: Where it is.
    """

    rig: Rig
    file: str
    address: Address

    async def send(self, wallet: KeySigner, name: str, *arguments: AbiArgument) -> None:
        """Call a function as somebody."""
        await self.rig.send(wallet, Call(self.address, self._function(name).encode(*arguments), f"{name} of {self.file}"))

    async def read(self, name: str, *arguments: AbiArgument) -> AbiValue:
        """Ask; a single answer comes as it is, several as a tuple."""
        answers = await read(self.rig.chain.rpc, Read(self.address, self._function(name), arguments, lambda *found: found))
        return answers[0] if len(answers) == 1 else answers

    def _function(self, name: str) -> Function:
        entry = next(entry for entry in example(self.file).abi if (entry.type, entry.name) == ("function", name))
        return Function(entry.name, entry.selector, entry.inputs, entry.outputs)


async def deploy_dapp(rig: Rig, by: KeySigner, file: str, *arguments: object) -> Dapp:
    """Put an example dapp on the chain."""
    return Dapp(rig, file, await _create(rig, by, example(file).creation(*arguments), file))


async def deploy_consumer(rig: Rig, by: KeySigner) -> Address:
    """Put the double `Consumer` on the chain."""
    return await _create(rig, by, double_code("Consumer") + encode([], []), "a consumer")


def offers(rig: Rig, app: Address, workerpool: Address, *, trust: int, salt: int) -> tuple[AbiArgument, AbiArgument]:
    """Signed offers of an app and a workerpool for one task, as a contract takes them."""
    domain, marked = rig.chain.domain, Hash32(f"0x{salt:064x}")
    app_order = AppOrder(app=app, appprice=APP_PRICE, volume=1, salt=marked)
    pool_order = WorkerpoolOrder(workerpool=workerpool, workerpoolprice=POOL_PRICE, volume=1, category=0, trust=trust, salt=marked)
    return order_tuple(sign_order(app_order, domain, rig.app_owner)), order_tuple(sign_order(pool_order, domain, rig.scheduler))


async def _create(rig: Rig, by: KeySigner, code: bytes, what: str) -> Address:
    receipt = await rig.send(by, Call(None, code, f"create {what}"))
    assert receipt.contract is not None
    return receipt.contract
