"""Wrong command lines: one line on standard error that names the option and the remedy, nothing else, exit code 2."""

from __future__ import annotations

import pytest

from voisin.cli import main

ADDRESS = "0xeB196D71Bf359bfDB7Ee54429236A09DBF3966B3"


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("nonsense", "No such command 'nonsense'. See `voisin --help`."),
        ("wallet", "Missing command. See `voisin wallet --help`."),
        ("run", "Missing argument 'APP'. See `voisin run --help`."),
        ("run app.wasm --surprise", "No such option: --surprise"),
        ("run app.wasm --max-price cheap", "'cheap' is not an amount: write for example \"1.5 RLC\""),
        ("run app.wasm --max-price 0.0000000001", "is finer than 1 nRLC"),
        ("run app.wasm --replicas 0", "for '--replicas': Input should be greater"),
        ("run app.wasm --replicas 2 --trust 4", "give one of --replicas and --trust"),
        ("run app.wasm --animation film.mp4", "'film.mp4' does not end in .gif or .apng"),
        ("run app.wasm --set size", "'size' is not NAME=VALUE"),
        ("run app.wasm --set a=1 --set a=2", "'a' is given twice"),
        ("run app.wasm --frames 0..3 --set frame=1", "--set frame says the same"),
        ("run app.wasm --input a=x --input a=y", "two inputs are called 'a'"),
        ("run app.wasm --tag quantum", "'quantum' is not a tag: known tags are tee"),
        ("run app.wasm --workerpool 0x12", "'0x12' is not an address"),
        (f"run {ADDRESS} --frames 0..3", "parameters need the app's folder"),
        ("run app.wasm one --frames 0..3", "give arguments, or parameters"),
        ("deal show 0x12", "'0x12' is not a 32-byte hash"),
        ("task show deal", "'deal' is not a 32-byte hash"),
        ("wallet deposit -- -5", "'-5' is not an amount"),
        ("wallet create ../me", "'../me' is not a plain name"),
        ("wallet create me --strength feeble", "'feeble' is not one of standard, light"),
        ("order sign pool 0x12 --price 1", "'0x12' is not an address"),
        (f"order sign pool {ADDRESS} --price 1", "'pool' is not one of app, dataset, workerpool, request"),
        ("order list pools", "'pools' is not one of"),
        ("order fill --app a.json --workerpool b.json", "Missing option '--request'"),
        ("up --engine abacus", "'abacus' is not one of jit, pyevm, eels, anvil"),
        ("up --workers many", "for '--workers': Input should be a valid integer"),
        ("chain --port 99999", "for '--port': Input should be less"),
    ],
)
def test_a_wrong_line_is_told_in_one_line(line: str, says: str, capsys: pytest.CaptureFixture[str], tmp_path: object) -> None:
    assert main([*line.split(" "), *(["--home", str(tmp_path)] if line.startswith("up") else [])]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("error: ")
    assert printed.err.count("\n") == 1
    assert says in printed.err
