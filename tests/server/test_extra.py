"""Without the extra the server says what to install, and its tests skip."""

from importlib.util import find_spec

import pytest

from hepacalc.cli import main


def test_a_bare_install_says_what_to_install(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    real = find_spec
    monkeypatch.setattr("importlib.util.find_spec", lambda name, *a: None if name == "fastapi" else real(name, *a))
    with pytest.raises(SystemExit) as left:
        main(["serve"])
    assert left.value.code == 8
    assert 'pip install "hepacalc[server]"' in capsys.readouterr().err


def test_the_extra_is_here():
    if find_spec("fastapi") is None:
        pytest.skip("the other tests of the server need the extra: pip install 'hepacalc[server]'")
