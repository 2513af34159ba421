"""The network that reads segments: what it learns from, a few steps, and the same answer as ONNX."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs torch: pip install 'hepacalc[train]'")
pytest.importorskip("onnx", reason="needs onnx: pip install 'hepacalc[train]'")

from training.segments.batches import laid  # noqa: E402
from training.segments.draw import FIRST_SEED, Drawn, draw  # noqa: E402
from training.segments.learn import at_places, learn  # noqa: E402
from training.segments.network import write_reader  # noqa: E402

from hepacalc.liver.reader import CHANNELS, PLACES, SHAPE  # noqa: E402


@pytest.fixture(scope="module")
def drawn() -> Drawn:
    return draw(0)


def test_a_drawn_liver_holds_every_segment_and_its_veins_apart(drawn: Drawn) -> None:
    inside = drawn.outline_mm < 0
    assert set(np.unique(drawn.label[inside])) == set(range(9))
    assert (drawn.hepatic > 128).sum() > 200
    assert (drawn.portal > 128).sum() > 200
    # veins are painted as liver
    for cover in (drawn.hepatic, drawn.portal):
        assert float(np.median(drawn.hu[inside & (cover > 200)])) == pytest.approx(float(drawn.liver_hu), abs=4)


def test_a_warp_moves_picture_and_truth_together(drawn: Drawn) -> None:
    for seed in (1, 2):
        sample = laid(drawn, np.random.default_rng(seed))
        assert sample.seen.shape == (CHANNELS, *SHAPE)
        assert sample.place.shape == (PLACES, *(n // 2 for n in SHAPE))
        depth = at_places(sample.seen[None, 3:4], sample.at[None])[0, 0]
        inside = sample.weight == 1
        # what counts in full lies in the liver that is seen, but for the disturbed outline
        assert float((depth[inside] > -0.2).float().mean()) > 0.95
        assert float((depth[~inside] < 0.2).float().mean()) > 0.9
        assert len(torch.unique(sample.label)) == 9


def test_it_learns_goes_on_and_is_the_same_as_onnx(drawn: Drawn, tmp_path: Path) -> None:
    torch.set_num_threads(1)
    drawn.save(tmp_path / f"{FIRST_SEED + 50}.npz")
    learn(tmp_path, tmp_path / "run", 0.5, tell=lambda _line: None)
    before = torch.load(tmp_path / "run" / "checkpoint.pt", weights_only=True)
    net = learn(tmp_path, tmp_path / "run", before["seconds"] + 0.5, tell=lambda _line: None)
    assert torch.load(tmp_path / "run" / "checkpoint.pt", weights_only=True)["step"] > before["step"] > 0
    reader = tmp_path / "run" / "reader.pt"
    other = learn(tmp_path, tmp_path / "other", 1e-9, after=reader, tell=lambda _line: None)
    for name, values in torch.load(reader, weights_only=True).items():
        assert torch.equal(other.state_dict()[name], values)
    write_reader(net, {"version": "test"}, tmp_path / "reader.onnx")
    import onnxruntime

    session = onnxruntime.InferenceSession((tmp_path / "reader.onnx").read_bytes(), providers=["CPUExecutionProvider"])
    sample = laid(drawn, np.random.default_rng(0), warped=False)
    with torch.no_grad():
        expected = net(sample.seen[None], sample.place[None]).numpy()
    found = session.run(None, {"seen": sample.seen[None].numpy(), "place": sample.place[None].numpy()})[0]
    np.testing.assert_allclose(found, expected, atol=0.05)


def test_nothing_to_learn_from_is_said(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="draw more of them first"):
        learn(tmp_path, tmp_path / "run", 1.0)
