"""A receipt waits until the nonce that its sender last read is forgotten by the client, and no longer."""

from __future__ import annotations

from voisin.chain.devnet.wire.receipt_hold import ReceiptHold

SENDER, OTHER = "0x" + "ab" * 20, "0x" + "cd" * 20


def test_hold() -> None:
    time = 100.0
    hold = ReceiptHold(0.25, now=lambda: time)
    receipt = {"from": SENDER}
    assert hold.seconds_left(receipt) == 0
    hold.nonce_was_read(SENDER.upper().replace("X", "x"))
    time = 100.1
    assert abs(hold.seconds_left(receipt) - 0.15) < 1e-9
    assert hold.seconds_left({"from": OTHER}) == 0
    assert hold.seconds_left(None) == 0
    time = 100.3
    assert hold.seconds_left(receipt) == 0


def test_memory_is_bounded() -> None:
    hold = ReceiptHold(0.25, now=lambda: 0.0)
    for number in range(25_000):
        hold.nonce_was_read(f"0x{number:040x}")
    assert hold.seconds_left({"from": f"0x{24_999:040x}"}) == 0.25
    assert hold.seconds_left({"from": f"0x{0:040x}"}) == 0
