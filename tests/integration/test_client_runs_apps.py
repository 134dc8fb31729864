"""The SDK against a market of real parts: results in order and verified, failures named, money to the nRLC."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import as_completed
from pathlib import Path

import pytest
from anyio.from_thread import BlockingPortal

import voisin
from tests.integration.client_rig import PASSWORD, PRICE, WASM, Rig, running_rig
from voisin.client.settlement import Outcome, Role, Verdict
from voisin.errors import FundsError, GuestError, InputError, NoMatchError, StateError, TrustError
from voisin.protocol.ids import DealId, Hash32


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Rig, BlockingPortal]]:
    with running_rig(tmp_path_factory.mktemp("home")) as (rig, portal):
        portal.call(rig.offer)
        yield rig, portal


@pytest.fixture
def rig(market: tuple[Rig, BlockingPortal]) -> Rig:
    return market[0]


@pytest.fixture
def app(tmp_path: Path) -> Path:
    path = tmp_path / "sentence.wasm"
    path.write_bytes(WASM)
    return path


def test_one_run_gives_a_verified_result(rig: Rig, app: Path, tmp_path: Path) -> None:
    with voisin.connect(rig.home) as cloud:
        result = cloud.run(app, ["hello", 3], inputs={"a.txt": b"data"})
    assert dict(result.files) == {"out.txt": b"hello 3 a.txt=data", "stdout.txt": b"ran hello 3 a.txt=data\n"}
    assert result.stdout == "ran hello 3 a.txt=data\n"
    assert result.price == PRICE
    assert len(set(result.workers)) >= 2
    assert set(result.workers) <= {worker.address for worker in rig.workers}
    saved = result.save(tmp_path / "out")
    assert {path.relative_to(tmp_path / "out").as_posix() for path in saved} == {"out.txt", "stdout.txt"}
    assert (tmp_path / "out" / "out.txt").read_bytes() == b"hello 3 a.txt=data"


def test_a_bag_gives_its_results_in_order(rig: Rig, app: Path) -> None:
    seen: list[voisin.Progress] = []
    tasks: list[list[str] | voisin.TaskSpec] = [["one"], voisin.TaskSpec(("two",), {"x": b"own"}), ["three"]]
    with voisin.connect(rig.home) as cloud:
        results = cloud.map(app, tasks, inputs={"c": b"common"}, progress=seen.append)
    assert [result.files["out.txt"] for result in results] == [b"one c=common", b"two c=common x=own", b"three c=common"]
    assert [result.index for result in results] == [0, 1, 2]
    assert len({result.deal_id for result in results}) == 1
    assert (seen[0].total, seen[-1].completed, seen[-1].failed) == (3, 3, 0)
    assert [progress.completed for progress in seen] == sorted(progress.completed for progress in seen)


def test_futures_are_those_of_the_standard_library(rig: Rig, app: Path) -> None:
    with voisin.connect(rig.home) as cloud:
        futures = cloud.map_async(app, [["a"], ["b"]])
        alone = cloud.submit(app, ["c"])
        texts = {future.result().files["out.txt"] for future in as_completed([*futures, alone])}
        assert [future.result().index for future in futures] == [0, 1]
    assert texts == {b"a", b"b", b"c"}


def test_leaving_the_context_waits_for_futures(rig: Rig, app: Path) -> None:
    with voisin.connect(rig.home) as cloud:
        future = cloud.submit(app, ["late"])
    assert future.done()
    assert future.result().files["out.txt"] == b"late"


def test_a_failed_app_names_the_cause_and_keeps_its_result(rig: Rig, app: Path) -> None:
    with voisin.connect(rig.home) as cloud, pytest.raises(GuestError) as caught:
        cloud.run(app, ["fail"])
    assert isinstance(caught.value, voisin.AppFailedError)
    assert (caught.value.cause, caught.value.detail) == ("exit-code", "7")
    assert caught.value.message == "the app failed in task 0: exit-code (7)"
    assert caught.value.hint == "its last line of standard error was 'no such thing'"
    assert caught.value.result.stderr == "starting\nno such thing\n"


def test_one_failure_does_not_hide_the_other_results(rig: Rig, app: Path) -> None:
    with voisin.connect(rig.home) as cloud:
        job = cloud.start(cloud.quote(app, [["good"], ["fail"], ["fine"]]))
        with pytest.raises(voisin.AppFailedError):
            job.results()
        assert job.result(0).files["out.txt"] == b"good"
        assert job.result(2).files["out.txt"] == b"fine"
        with pytest.raises(StateError, match="the job has no task 3"):
            job.result(3)


def test_a_stored_result_that_is_not_the_agreed_one_is_refused(rig: Rig, app: Path) -> None:
    with voisin.connect(rig.home) as cloud, pytest.raises(TrustError, match="digest"):
        cloud.run(app, ["forge"])


def test_a_deal_is_taken_up_again_later(rig: Rig, app: Path) -> None:
    with voisin.connect(rig.home) as cloud:
        first = cloud.map(app, [["x"], ["y"]])
        deal_id = first[0].deal_id
    with voisin.connect(rig.home) as cloud:
        again = cloud.deal(deal_id)
        assert len(again) == 2
        assert [result.archive for result in again.results()] == [result.archive for result in first]
        assert again.results()[0].workers == first[0].workers
        assert again.price == 2 * PRICE
        with pytest.raises(StateError, match="unknown deal"):
            cloud.deal(Hash32("0x" + "12" * 32))


def test_the_invoice_shows_the_liar_and_adds_up(rig: Rig, app: Path) -> None:
    with voisin.connect(rig.home) as cloud:
        before = cloud.balances()
        (result,) = cloud.map(app, [["lie"]])
        after = cloud.balances()
        invoice = cloud.invoice(result.deal_id)
    assert before.total == after.total == 87_000_000 * 10**9
    assert (invoice.total, invoice.spent, invoice.refunded, invoice.pending) == (PRICE, PRICE, 0, 0)
    (task,) = invoice.tasks
    assert task.outcome is Outcome.COMPLETED
    assert [vote.verdict for vote in task.votes][:2] == [Verdict.FAULTY, Verdict.PROVED]
    assert task.votes[0].worker == rig.workers[0].address
    stake = PRICE * 30 // 100
    assert task.votes[0].fine == stake
    fines = {line.role: line.amount for line in invoice.fines}
    from_kitty = fines.pop(Role.KITTY, 0)  # what a scheduler lost in another test goes to the next
    assert fines == {Role.WORKER: stake}
    assert sum(line.amount for line in invoice.payments) == PRICE + stake + from_kitty
    changes = before.changes(after)
    assert changes[rig.requester.address] == -PRICE
    assert changes[rig.workers[0].address] == -stake
    assert sum(changes.values()) == 0
    kinds = {(line.role, line.kind): line.transactions for line in invoice.gas}
    assert kinds == {
        ("requester", "match"): 1,
        ("scheduler", "initialize"): 1,
        ("scheduler", "finalize"): 1,
        ("worker", "contribute"): len(task.votes),
        ("worker", "reveal"): len(task.votes) - 1,
    }
    assert all(line.gas > 20_000 and line.cost > 0 for line in invoice.gas)


def test_the_deposit_comes_out_of_the_wallet_with_the_deal(rig: Rig, app: Path) -> None:
    with voisin.connect(rig.home) as cloud:
        wallet, account = cloud.wallet_balance(), cloud.account()
        if account.stake:
            cloud.withdraw(account.stake)
            assert cloud.wallet_balance() == wallet + account.stake
        before = cloud.wallet_balance()
        quote = cloud.quote(app, [["a"], ["b"]])
        assert (quote.total, quote.deposited, quote.missing) == (2 * PRICE, 0, 0)
        cloud.start(quote).results()
        assert cloud.wallet_balance() == before - 2 * PRICE
        assert cloud.account().stake == 0
        cloud.deposit("0.5 RLC")
        assert (cloud.account().stake, cloud.wallet_balance()) == (500_000_000, before - 2 * PRICE - 500_000_000)


def test_too_little_money_says_how_much_is_missing(rig: Rig, app: Path) -> None:
    with voisin.connect(rig.home, wallet="poor", password=PASSWORD) as cloud:
        with pytest.raises(FundsError, match=r"0\.29 RLC is missing: the tasks cost 0\.3 RLC"):
            cloud.map(app, [["a"], ["b"], ["c"]])
        with pytest.raises(FundsError, match=r"0\.99 RLC is missing"):
            cloud.deposit("1 RLC")
        with pytest.raises(FundsError, match="1 RLC is missing"):
            cloud.withdraw("1 RLC")
        assert cloud.wallet_balance() == 10_000_000


def test_no_match_names_condition_and_distance(rig: Rig, app: Path) -> None:
    with voisin.connect(rig.home) as cloud:
        with pytest.raises(NoMatchError, match=r"0\.1 RLC, the request pays at most 0\.04 RLC: 0\.06 RLC too little"):
            cloud.run(app, ["a"], max_price="0.04 RLC")
        with pytest.raises(NoMatchError, match="trust up to 8, the request wants 99"):
            cloud.run(app, ["a"], trust=99)
        with pytest.raises(NoMatchError, match=r"category [02], the request wants 1"):
            cloud.run(app, ["a"], category="S")
        with pytest.raises(NoMatchError, match="5 replicas need 5 workers, and the workerpool has 4 workers online"):
            cloud.run(app, ["a"], replicas=5)
        with pytest.raises(NoMatchError, match=r"need trust \d+, and .* reach \d+ together"):
            cloud.quote(app, [["a"]] * 20_000, replicas=2)


def test_tasks_are_spread_over_offers_that_are_too_small(market: tuple[Rig, BlockingPortal], app: Path) -> None:
    rig, portal = market
    portal.call(lambda: rig.offer(price=PRICE // 2, volume=2))
    with voisin.connect(rig.home) as cloud:
        job = cloud.start(cloud.quote(app, [["a"], ["b"], ["c"]]))
        results = job.results()
        invoices = job.invoices()
    assert [result.files["out.txt"] for result in results] == [b"a", b"b", b"c"]
    assert [(invoice.volume, invoice.price) for invoice in invoices] == [(2, PRICE // 2), (1, PRICE)]
    assert [result.index for result in results] == [0, 1, 2]
    assert job.price == 2 * PRICE
    assert len(set(job.deal_ids)) == 2


def test_a_task_nobody_does_is_claimed_and_refunded(market: tuple[Rig, BlockingPortal], app: Path) -> None:
    rig, portal = market
    portal.call(lambda: rig.offer(category=2))
    with voisin.connect(rig.home) as cloud:
        total = cloud.wallet_balance() + cloud.account().stake
        with pytest.raises(StateError, match="was not done and its price was refunded"):
            cloud.run(app, ["idle"], category="flash")
        assert cloud.wallet_balance() + cloud.account().stake == total


def test_waiting_ends_at_the_timeout_and_the_deal_goes_on(rig: Rig, app: Path) -> None:
    with voisin.connect(rig.home) as cloud, pytest.raises(StateError, match=r"not done within 0\.2 s") as caught:
        cloud.run(app, ["idle"], timeout_s=0.2)
    deal_id = DealId(Hash32(caught.value.hint.split("'")[1]))
    with voisin.connect(rig.home) as cloud:
        assert cloud.invoice(deal_id).pending == PRICE


def test_an_app_of_somebody_else_is_bought_at_its_price(market: tuple[Rig, BlockingPortal], app: Path) -> None:
    rig, _ = market
    with voisin.connect(rig.home, wallet="worker-3", password=PASSWORD) as owner:
        address = owner.deploy(app)
    with voisin.connect(rig.home) as cloud:
        with pytest.raises(NoMatchError, match=f"nobody offers app {address}"):
            cloud.run(address, ["a"])
        with pytest.raises(InputError, match="is not a registered app"):
            cloud.run("0x000000000000000000000000000000000000dEaD", ["a"])


def test_bad_files_and_wallets_are_refused(rig: Rig, tmp_path: Path) -> None:
    (tmp_path / "text.wasm").write_text("not a module")
    with voisin.connect(rig.home) as cloud:
        with pytest.raises(InputError, match="is not a WebAssembly module"):
            cloud.run(tmp_path / "text.wasm")
        with pytest.raises(InputError, match="cannot be read"):
            cloud.run(tmp_path / "missing.wasm")
        with pytest.raises(InputError, match=r"app\.toml cannot be read"):
            cloud.run(tmp_path)
    with voisin.connect(rig.home, wallet="poor", password="wrong") as cloud, pytest.raises(InputError, match="password"):
        cloud.account()
    with voisin.connect(rig.home, wallet="nobody") as cloud, pytest.raises(InputError, match="there is no wallet 'nobody'"):
        cloud.account()


def test_an_error_in_the_body_comes_out_as_it_is(rig: Rig) -> None:
    with pytest.raises(ZeroDivisionError), voisin.connect(rig.home):
        raise ZeroDivisionError


def test_an_error_in_the_progress_callback_reaches_the_caller(rig: Rig, app: Path) -> None:
    def broken(_progress: voisin.Progress) -> None:
        raise ArithmeticError("in the callback")

    with voisin.connect(rig.home) as cloud, pytest.raises(ArithmeticError, match="in the callback"):
        cloud.run(app, ["a"], progress=broken)


@pytest.mark.anyio
async def test_the_asynchronous_face_does_the_same(rig: Rig, app: Path) -> None:
    async with voisin.connect_async(rig.home) as cloud:
        results = await cloud.map(app, [["x"], ["y"]])
        job = await cloud.deal(results[0].deal_id)
        seen: list[int] = []

        async def tell(ending: object) -> None:
            seen.append(getattr(ending, "index"))  # noqa: B009

        await job.collect(tell)
    assert [result.files["out.txt"] for result in results] == [b"x", b"y"]
    assert sorted(seen) == [0, 1]


@pytest.mark.anyio
async def test_an_error_in_the_asynchronous_body_comes_out_as_it_is(rig: Rig) -> None:
    with pytest.raises(ZeroDivisionError):
        async with voisin.connect_async(rig.home):
            raise ZeroDivisionError
