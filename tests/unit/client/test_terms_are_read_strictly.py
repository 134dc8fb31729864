"""The terms of a run: what is accepted, what is refused, and that a refusal says what to write instead."""

from __future__ import annotations

from pathlib import Path

import pytest

from voisin.client.terms import RunTerms, TaskSpec, choose_category, read_inputs, read_tasks, read_terms
from voisin.errors import InputError
from voisin.protocol.records import Category
from voisin.protocol.rules import DEFAULT_CATEGORIES


def test_nothing_said_means_two_replicas_and_no_limit() -> None:
    terms = read_terms({})
    assert (terms.replicas, terms.trust, terms.max_price, terms.category, terms.timeout_s) == (2, None, None, None, None)


def test_secrets_and_sealed_results_in_an_enclave() -> None:
    terms = read_terms({"secrets": {2: "token"}, "sealed": True, "tag": "tee"})
    assert (terms.secrets, terms.sealed) == ({2: "token"}, True)


@pytest.mark.parametrize(("given", "read"), [("0.1 RLC", 100_000_000), ("5 nRLC", 5), (7, 7), (0, 0), ("2", 2_000_000_000)])
def test_prices_are_exact(given: str | int, read: int) -> None:
    assert read_terms({"max_price": given}).max_price == read


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"max_price": -1}, "max_price -1"),
        ({"max_price": "a lot"}, "'a lot' is not an amount"),
        ({"replicas": 0}, "replicas 0 is not a whole number from 1 up"),
        ({"trust": 0}, "trust 0"),
        ({"replicas": 2, "trust": 4}, "the same thing twice"),
        ({"tag": "quantum"}, "'quantum' is not a tag"),
        ({"workerpool": "0x12"}, "is not an address"),
        ({"secrets": {1: "token"}}, "secrets and sealed results need an enclave"),
        ({"sealed": True, "tag": "gpu"}, "secrets and sealed results need an enclave"),
    ],
)
def test_what_cannot_be_used_is_refused(given: RunTerms, says: str) -> None:
    with pytest.raises(InputError, match=says):
        read_terms(given)


def test_an_unknown_term_names_the_one_that_was_meant() -> None:
    with pytest.raises(InputError) as caught:
        read_terms({"max_prize": 3})  # type: ignore[typeddict-unknown-key]
    assert caught.value.hint == "did you mean 'max_price'?"


def test_tasks_are_arguments_or_specs() -> None:
    assert read_tasks([["a", 1, 2.5], "b", TaskSpec(("c",)), []]) == (
        TaskSpec(("a", "1", "2.5")),
        TaskSpec(("b",)),
        TaskSpec(("c",)),
        TaskSpec(),
    )


@pytest.mark.parametrize("given", [[], [b"bytes"], [7]])
def test_no_tasks_and_strange_tasks_are_refused(given: list[object]) -> None:
    with pytest.raises(InputError):
        read_tasks(given)  # type: ignore[arg-type]


def test_inputs_are_files_or_bytes_with_safe_names(tmp_path: Path) -> None:
    (tmp_path / "words").write_text("x")
    assert read_inputs({"a.txt": b"1", "b/c": tmp_path / "words"}) == {"a.txt": b"1", "b/c": tmp_path / "words"}
    with pytest.raises(InputError, match="is not a file"):
        read_inputs({"a": tmp_path / "missing"})
    with pytest.raises(InputError, match="leaves its folder"):
        read_inputs({"../a": b""})


def test_the_shortest_category_that_holds_the_time_is_chosen() -> None:
    assert choose_category(DEFAULT_CATEGORIES, None, 0) == 0
    assert choose_category(DEFAULT_CATEGORIES, None, 300) == 0
    assert choose_category(DEFAULT_CATEGORIES, None, 301) == 1
    assert choose_category((Category("slow", "", 900), Category("quick", "", 20)), None, 10) == 1
    assert choose_category((Category("slow", "", 900), Category("quick", "", 20)), None, 0) == 0


def test_a_category_by_number_or_name() -> None:
    assert choose_category(DEFAULT_CATEGORIES, 3, 10) == 3
    assert choose_category(DEFAULT_CATEGORIES, "M", 10) == 2


@pytest.mark.parametrize(("wanted", "time_s"), [(9, 0), ("XXL", 0), (0, 301), (None, 36_001)])
def test_categories_that_do_not_exist_or_are_too_short_list_those_there_are(wanted: int | str | None, time_s: float) -> None:
    with pytest.raises(InputError) as caught:
        choose_category(DEFAULT_CATEGORIES, wanted, time_s)
    assert "there are XS (number 0, 300 s), S (number 1, 1200 s)" in caught.value.hint
