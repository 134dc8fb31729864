"""An input that a client names by the address of a gateway nearby is content of the pool's storage; anything else is the web."""

from __future__ import annotations

import hashlib

import pytest

from voisin.protocol.cid import cid_of
from voisin.protocol.ipld import parse_name
from voisin.protocol.params import BagEntry, DealParams
from voisin.worker.content import Content, blob
from voisin.worker.plan import RequestError, plan_inputs

CID = cid_of(b"an input")


def name_of(url: str) -> str:
    return f"0x{hashlib.sha256(url.encode()).hexdigest()}"


@pytest.mark.parametrize("host", ["127.0.0.1:8548", "localhost:8548", "192.168.1.7", "10.0.0.1:80", "[::1]:8548"])
@pytest.mark.parametrize("allow_web", [True, False])
def test_near_gateway_names_content(host: str, allow_web: bool) -> None:
    url = f"http://{host}/ipfs/{CID}"
    inputs = plan_inputs(DealParams(iexec_input_files=(url,)), BagEntry(), allow_web=allow_web)
    assert (inputs.files, inputs.web, inputs.listed) == ({name_of(url): blob(CID)}, {}, (name_of(url),))


@pytest.mark.parametrize("tail", ["/", "?filename=a.txt", "?download=true&filename=b%20c.txt", "/?filename=a.txt", "?"])
@pytest.mark.parametrize("allow_web", [True, False])
def test_what_only_names_the_download_does_not_change_the_content(tail: str, allow_web: bool) -> None:
    url = f"http://127.0.0.1:8548/ipfs/{CID}{tail}"
    inputs = plan_inputs(DealParams(iexec_input_files=(url,)), BagEntry(), allow_web=allow_web)
    assert (inputs.files, inputs.web) == ({name_of(url): blob(CID)}, {})


def test_file_in_several_blocks_has_the_name_of_its_root() -> None:
    root = "QmW2WQi7j6c7UgJTarActp7tDNikE4B2qXtFCfLPdsgaTQ"
    url = f"http://127.0.0.1:8548/ipfs/{root}"
    inputs = plan_inputs(DealParams(iexec_input_files=(url,)), BagEntry())
    assert inputs.files == {name_of(url): Content(parse_name(root), None)}


@pytest.mark.parametrize("url", [f"https://gateway.example/ipfs/{CID}", f"https://8.8.8.8/ipfs/{CID}", "https://files.example/input"])
def test_elsewhere_is_the_web(url: str) -> None:
    inputs = plan_inputs(DealParams(iexec_input_files=(url,)), BagEntry(), allow_web=True)
    assert (inputs.files, inputs.web) == ({}, {name_of(url): url})
    with pytest.raises(RequestError, match="lies on the web"):
        plan_inputs(DealParams(iexec_input_files=(url,)), BagEntry(), allow_web=False)


@pytest.mark.parametrize("url", ["http://[/ipfs/x", "http://[::1/ipfs/x", "http://127.0.0.1/ipfs/", "/ipfs/nonsense"])
def test_broken_address_is_the_requesters_fault(url: str) -> None:
    with pytest.raises(RequestError):
        plan_inputs(DealParams(iexec_input_files=(url,)), BagEntry())


@pytest.mark.parametrize("tail", ["?format=raw", "?filename=a&format=car", "#part", "/?dag-scope=block"])
def test_near_address_that_is_no_content_stays_an_address(tail: str) -> None:
    url = f"http://127.0.0.1:8548/ipfs/{CID}{tail}"
    assert plan_inputs(DealParams(iexec_input_files=(url,)), BagEntry(), allow_web=True).web == {name_of(url): url}


def test_near_gateway_without_a_name_of_content_is_malformed() -> None:
    with pytest.raises(RequestError, match="malformed"):
        plan_inputs(DealParams(iexec_input_files=("http://127.0.0.1/ipfs/nonsense",)), BagEntry(), allow_web=True)
