"""What a task may use follows from its category and its parameters by the written rule."""

from __future__ import annotations

import pytest

from voisin.protocol.params import DealParams, RunLimits
from voisin.sandbox import Limits
from voisin.worker.plan import RequestError, bag_cid, plan_limits, read_params

M, OUT = 512 << 20, 64 << 20


@pytest.mark.parametrize(
    ("asked", "category_time_s", "expected"),
    [
        # the wall time is three times the task's time: instructions decide, the clock only stops machines that are too slow
        (RunLimits(), 300, Limits(time_s=900, instructions=1_200_000_000_000, memory_bytes=M, output_bytes=OUT)),
        (RunLimits(time_s=2), 300, Limits(time_s=6, instructions=8_000_000_000, memory_bytes=M, output_bytes=OUT)),
        (RunLimits(time_s=0.5), 300, Limits(time_s=1.5, instructions=2_000_000_000, memory_bytes=M, output_bytes=OUT)),
        (RunLimits(time_s=1e9), 300, Limits(time_s=900, instructions=1_200_000_000_000, memory_bytes=M, output_bytes=OUT)),
        (RunLimits(instructions=1_000), 300, Limits(time_s=900, instructions=1_000, memory_bytes=M, output_bytes=OUT)),
        (RunLimits(time_s=1, instructions=10**15), 300, Limits(time_s=3, instructions=4_000_000_000, memory_bytes=M, output_bytes=OUT)),
        (
            RunLimits(memory_bytes=1, output_bytes=2),
            300,
            Limits(time_s=900, instructions=1_200_000_000_000, memory_bytes=1, output_bytes=2),
        ),
        (RunLimits(), 0, Limits(time_s=0.001, instructions=0, memory_bytes=M, output_bytes=OUT)),
    ],
)
def test_limits(asked: RunLimits, category_time_s: int, expected: Limits) -> None:
    assert plan_limits(DealParams(voisin_limits=asked), category_time_s) == expected


CID = "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku"


def test_without_a_bag_all_tasks_are_alike() -> None:
    assert bag_cid(read_params("")) is None
    assert bag_cid(read_params(f'{{"voisin_bag": "/ipfs/{CID}"}}')) == CID


def test_plain_text_is_arguments() -> None:
    assert read_params("--fast now") == DealParams(iexec_args="--fast now")


def test_what_cannot_be_done_is_said_in_fixed_words() -> None:
    """The words are part of the digest: they must not hold what differs between versions of a library."""
    with pytest.raises(RequestError) as first:
        read_params('{"iexec_args": 5}')
    with pytest.raises(RequestError) as second:
        read_params('{"voisin_limits": []}')
    assert str(first.value) == str(second.value) == "the deal's parameters are malformed"
