"""A box with a broker: it answers, its wallet has coin for gas and no RLC; a box without one says so nowhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from voisin.box.service import open_box
from voisin.box.settings import BoxSettings
from voisin.box.status import box_status
from voisin.chain import open_chain
from voisin.client.broker import BrokerDesk
from voisin.client.services import Service
from voisin.protocol.records import Account
from voisin.units import NRLC

pytestmark = pytest.mark.anyio


async def test_the_broker_of_a_box_works_for_nothing(tmp_path: Path) -> None:
    async with open_box(BoxSettings(home=tmp_path, workers=0, port=0, broker=True)) as box:
        async with Service("broker", box.network.broker_url) as service:
            health = await BrokerDesk(service).health()
        assert (health.hub, health.deals) == (box.network.hub, 0)
        assert health.broker == box.wallets.signers["broker"].address
        async with open_chain(box.network.rpc_url, box.network.hub) as chain:
            assert await chain.native_balance(health.broker) > 0
            assert await chain.token.balance(health.broker) == 0
            assert await chain.hub.account(health.broker) == Account(stake=NRLC(0), locked=NRLC(0))
        assert [service.name for service in (await box_status(box.network)).services if service.is_up][-1] == "broker"


async def test_a_box_has_no_broker_unless_asked(tmp_path: Path) -> None:
    async with open_box(BoxSettings(home=tmp_path, workers=0, port=0)) as box:
        assert box.network.broker_url == ""
        assert "broker" not in [service.name for service in (await box_status(box.network)).services]
