"""A box's workers fetch from the neighbourhood only where whoever started the box says so."""

from __future__ import annotations

from pathlib import Path

import pytest

from voisin.box.service import describe_workers
from voisin.box.settings import BoxSettings
from voisin.box.wallets import Wallets
from voisin.box.worker_process import worker_settings
from voisin.box.workers import WorkerSpec
from voisin.client.network import Network
from voisin.protocol.codec import decode, encode

NETWORK = Network(
    chain_id=1,
    rpc_url="http://127.0.0.1:1",
    hub=f"0x{'00' * 19}01",
    market_url="http://127.0.0.1:2",
    storage_url="http://127.0.0.1:3",
    pool_url="http://127.0.0.1:4",
)


@pytest.mark.parametrize("is_allowed", [False, True])
def test_option_of_the_box_reaches_every_worker(tmp_path: Path, is_allowed: bool) -> None:
    settings = BoxSettings(home=tmp_path, workers=2, allow_private_web=is_allowed)
    told = [encode(worker.spec) for worker in describe_workers(settings, NETWORK, Wallets(tmp_path, {}))]
    assert [worker_settings(decode(line, WorkerSpec, "an order")).allow_private_web for line in told] == [is_allowed] * 2


def test_box_keeps_them_on_the_public_web_unless_told() -> None:
    assert BoxSettings(home=Path("/")).allow_private_web is False
