"""The network that reads segments: what it learns from, a few steps, and the same answer as ONNX."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs torch: pip install 'hepacalc[train]'")
pytest.importorskip("onnx", reason="needs onnx: pip install 'hepacalc[train]'")

from training.segments.batches import laid  # noqa: E402
from training.segments.draw import FIRST_SEED, Drawn, draw  # noqa: E402
from training.segments.learn import learn, right  # noqa: E402
from training.segments.network import CHANNELS, ReaderNet, write_reader  # noqa: E402

from hepacalc.liver.reader import SHAPE  # noqa: E402


@pytest.fixture(scope="module")
def drawn() -> Drawn:
    return draw(0, variants=1)[0]


def test_a_drawn_liver_holds_every_segment_and_what_the_anatomies_say(drawn: Drawn) -> None:
    assert set(np.unique(drawn.label[drawn.own])) >= set(range(9))
    said = drawn.said.sum(axis=0, dtype=int)
    assert said.max() == pytest.approx(255, abs=5)
    sample = laid(drawn)
    assert right(torch.zeros(()), sample) > 0.6


def test_a_warp_moves_picture_and_truth_together(drawn: Drawn) -> None:
    plain, warped = laid(drawn), laid(drawn, np.random.default_rng(2))
    assert float((plain.label != warped.label).float().mean()) > 0.02
    assert right(torch.zeros(()), warped) == pytest.approx(right(torch.zeros(()), plain), abs=0.08)


def test_it_learns_from_a_folder_and_is_the_same_as_onnx(drawn: Drawn, tmp_path: Path) -> None:
    torch.set_num_threads(1)
    drawn.save(tmp_path / f"{FIRST_SEED + 50}_0.npz")
    net = learn(tmp_path, tmp_path / "run", 0.5, tell=lambda _line: None)
    assert (tmp_path / "run" / "reader.pt").exists()
    write_reader(net, {"version": "test"}, tmp_path / "reader.onnx")
    import onnxruntime

    session = onnxruntime.InferenceSession((tmp_path / "reader.onnx").read_bytes(), providers=["CPUExecutionProvider"])
    sample = laid(drawn)
    with torch.no_grad():
        expected = net(sample.fine[None], sample.coarse[None]).numpy()
    found = session.run(None, {"fine": sample.fine[None].numpy(), "coarse": sample.coarse[None].numpy()})[0]
    assert sample.fine.shape == (CHANNELS, *SHAPE)
    np.testing.assert_allclose(found, expected, atol=0.02)


def test_nothing_to_learn_from_is_said(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="draw more of them first"):
        learn(tmp_path, tmp_path / "run", 1.0)


def test_a_fresh_network_adds_almost_nothing() -> None:
    said = torch.full((1, 9, *(n // 2 for n in SHAPE)), 1 / 9)
    with torch.no_grad():
        added = ReaderNet().eval()(torch.zeros(1, CHANNELS, *SHAPE), said)
    assert float(added.abs().max()) < 0.2
