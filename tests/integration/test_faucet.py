"""The box's faucet: first coin and stake for who never had anything, once, out of the hand of who holds all RLC."""

from __future__ import annotations

import secrets

import httpx
import pytest

from tests.support.chain_rig import RLC, open_rig
from voisin.box import faucet as faucets
from voisin.box.faucet import Faucet, create_faucet_app
from voisin.box.founding import GAS_MONEY
from voisin.chain import Call
from voisin.protocol.signatures import KeySigner
from voisin.service.serving import serve_app
from voisin.units import NRLC, Wei

pytestmark = pytest.mark.anyio


async def test_it_gives_once_to_who_has_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(faucets, "MAX_GIFTS", 2)
    async with open_rig() as rig:
        app = create_faucet_app(Faucet(rig.chain, rig.senders[rig.owner.address], NRLC(5 * RLC)))
        supply = await rig.chain.token.total_supply()
        async with serve_app(app) as url, httpx.AsyncClient(base_url=url) as client:
            new, funded, third = (KeySigner(secrets.token_bytes(32)).address for _ in range(3))
            gift = (await client.post(f"/v1/gifts/{new}")).json()
            assert gift == {"address": new, "coins": str(GAS_MONEY), "stake": 5 * RLC}
            assert (await rig.chain.hub.account(new)).stake == 5 * RLC
            assert await rig.chain.native_balance(new) == GAS_MONEY
            again = (await client.post(f"/v1/gifts/{new}")).json()
            assert (again["coins"], again["stake"]) == ("0", 0)
            await rig.send(rig.owner, Call(funded, b"", "gas money", value=Wei(1)))
            half = (await client.post(f"/v1/gifts/{funded}")).json()
            assert (half["coins"], half["stake"]) == ("0", 5 * RLC), "each of the two only if it is missing"
            refused = await client.post(f"/v1/gifts/{third}")
            assert (refused.status_code, "has given to 2 addresses" in refused.json()["detail"]) == (409, True)
            assert (await client.post("/v1/gifts/0x12")).status_code == 400
        assert await rig.chain.token.total_supply() == supply
