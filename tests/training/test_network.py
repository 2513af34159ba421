"""Network, training loop and ONNX: what needs torch or onnx, which the package itself never does."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs torch: pip install 'hepacalc[train]'")
onnx = pytest.importorskip("onnx", reason="needs onnx: pip install 'hepacalc[train]'")

from training.cases import LABELS, OTHER  # noqa: E402
from training.learn import Batch, Plan, Run, losses  # noqa: E402
from training.network import LiverNet, conv_blocks, folded_weights, load_folded  # noqa: E402
from training.onnx_file import build_model, read_members, write_model  # noqa: E402
from training.samples import CHUNK, Sample, chunk_path  # noqa: E402

SIZE = (32, 32, 16)


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def used_net(seed: int = 0) -> LiverNet:
    """A network whose normalisation has seen something."""
    torch.manual_seed(seed)
    net = LiverNet()
    for _, norm in conv_blocks(net):
        torch.nn.init.uniform_(norm.running_mean, -0.5, 0.5)
        torch.nn.init.uniform_(norm.running_var, 0.5, 2.0)
        torch.nn.init.uniform_(norm.weight, 0.5, 1.5)
        torch.nn.init.uniform_(norm.bias, -0.3, 0.3)
    return net.eval()


def answer(model: onnx.ModelProto, x: np.ndarray) -> np.ndarray:
    import onnxruntime

    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(["logit"], {"x": x})[0]


def write_samples(folder: Path, chunks: int, missing: bool = True) -> None:
    rng = np.random.default_rng(0)
    for number in range(chunks):
        labels = rng.integers(0, len(LABELS), (CHUNK, *SIZE)).astype(np.uint8)
        hidden = np.zeros((CHUNK, 32), bool)
        hidden[:, 7] = missing
        np.savez(
            chunk_path(folder, number), x=rng.random((CHUNK, *SIZE)).astype(np.float16), labels=labels,
            liver=np.where(labels == 1, 255, 0).astype(np.uint8), missing=hidden,
            case=np.array([("a", "b")[k % 2] for k in range(CHUNK)]),
        )  # fmt: skip


@pytest.mark.parametrize("half", [False, True])
def test_onnx_answers_as_torch_does(half: bool) -> None:
    net = used_net()
    x = torch.rand(1, 1, 48, 32, 16)
    with torch.no_grad():
        wanted = net(x).numpy()
    found = answer(build_model([folded_weights(net)], {}, half=half), x.numpy())
    assert found.shape == wanted.shape
    assert np.abs(found - wanted).max() < (0.02 if half else 1e-4) * max(np.abs(wanted).max(), 1)


def test_two_networks_answer_with_their_mean(tmp_path: Path) -> None:
    nets = [used_net(0), used_net(1)]
    members = [folded_weights(net) for net in nets]
    x = torch.rand(1, 1, *SIZE)
    with torch.no_grad():
        wanted = sum(net(x).numpy() for net in nets) / 2
    found = answer(build_model(members, {}, half=False), x.numpy())
    assert np.abs(found - wanted).max() < 1e-4 * max(np.abs(wanted).max(), 1)
    write_model(members, {}, tmp_path / "two.onnx", half=False)
    back = read_members(tmp_path / "two.onnx")
    assert len(back) == 2
    for member, again in zip(members, back, strict=True):
        for (w, b), (other_w, other_b) in zip(member, again, strict=True):
            assert np.array_equal(w, other_w)
            assert np.array_equal(b, other_b)


def test_the_file_says_what_it_is_and_is_always_the_same(tmp_path: Path) -> None:
    net = used_net()
    size = write_model([folded_weights(net)], {"version": "7", "licence": "L"}, tmp_path / "a.onnx")
    write_model([folded_weights(net)], {"version": "7", "licence": "L"}, tmp_path / "b.onnx")
    assert (tmp_path / "a.onnx").read_bytes() == (tmp_path / "b.onnx").read_bytes()
    assert size < 2_000_000
    kept = {p.key: p.value for p in onnx.load(tmp_path / "a.onnx").metadata_props}
    assert kept == {"version": "7", "licence": "L"}


def test_folded_weights_come_back_as_a_network_that_can_learn(tmp_path: Path) -> None:
    """Normalisation is measured again, and the answer stays the same."""
    first = used_net(1)
    write_model([folded_weights(first)], {}, tmp_path / "first.onnx", half=False)
    second = LiverNet()
    x = torch.rand(4, 1, *SIZE)
    load_folded(second, read_members(tmp_path / "first.onnx")[0], x)
    second.eval()
    with torch.no_grad():
        assert torch.allclose(first(x), second(x), atol=1e-3)
        # and while it learns, on the samples it was measured on, about the same
        second.train()
        logit, organs = second(x)
    assert (logit - first(x)).abs().mean() < 0.05 * first(x).abs().mean() + 0.02
    assert organs.shape == (4, len(LABELS), 16, 16, 8)


def sample(label: int, missing: tuple[int, ...]) -> Sample:
    return Sample(
        np.zeros(SIZE, np.float16), np.full(SIZE, label, np.uint8),
        np.full(SIZE, 255 if label == 1 else 0, np.uint8), "a", missing,
    )  # fmt: skip


def test_an_organ_that_nobody_marked_is_not_punished() -> None:
    heart = LABELS.index("heart")
    sure = torch.full((1, len(LABELS), 16, 16, 8), -20.0)
    sure[:, heart] = 20.0
    logit = torch.full((1, 1, *SIZE), -20.0)
    hidden = losses(logit, sure, Batch.of([sample(OTHER, (heart,))]))
    marked = losses(logit, sure, Batch.of([sample(OTHER, ())]))
    assert hidden[2].item() < 1e-3
    assert marked[2].item() > 10
    # liver is never among what may hide
    as_liver = torch.full((1, len(LABELS), 16, 16, 8), -20.0)
    as_liver[:, 1] = 20.0
    assert losses(logit, as_liver, Batch.of([sample(OTHER, (heart,))]))[2].item() > 10


def test_the_right_answer_costs_nothing_and_the_wrong_one_much() -> None:
    organs = torch.zeros(1, len(LABELS), 16, 16, 8)
    batch = Batch.of([sample(1, ())])
    right = losses(torch.full((1, 1, *SIZE), 20.0), organs, batch)
    wrong = losses(torch.full((1, 1, *SIZE), -20.0), organs, batch)
    assert right[0].item() + right[1].item() < 1e-3
    assert wrong[0].item() > 10
    assert wrong[1].item() > 0.9


def weights(run: Run) -> list[np.ndarray]:
    both = [*run.net.state_dict().values(), *run.smooth.state_dict().values()]
    return [t.detach().float().numpy().copy() for t in both]


def test_a_resumed_run_ends_as_one_that_was_not_stopped(tmp_path: Path) -> None:
    write_samples(tmp_path, 2)
    plan = Plan(steps=6, lr=1e-3, warm_up=2)
    whole = Run(tmp_path / "whole", tmp_path, plan)
    whole.go(6)
    Run(tmp_path / "parts", tmp_path, plan).go(3)
    again = Run(tmp_path / "parts", tmp_path, plan)
    assert again.step == 3
    again.go(6)
    assert all(np.array_equal(a, b) for a, b in zip(weights(whole), weights(again), strict=True))
    log = (tmp_path / "parts" / "log.csv").read_text("utf-8").splitlines()
    assert log[0].startswith("step,")
    assert [line.split(",")[0] for line in log[1:]] == ["3", "6"]


def test_another_plan_is_not_resumed(tmp_path: Path) -> None:
    write_samples(tmp_path, 1)
    Run(tmp_path / "run", tmp_path, Plan(steps=1)).go(1)
    with pytest.raises(ValueError, match="lr"):
        Run(tmp_path / "run", tmp_path, Plan(steps=1, lr=1e-5))
    assert json.loads((tmp_path / "run" / "plan.json").read_text("utf-8"))["lr"] == 4e-3


def test_the_case_left_out_is_never_seen(tmp_path: Path) -> None:
    write_samples(tmp_path, 1)
    run = Run(tmp_path / "run", tmp_path, Plan(steps=4, leave_out="a"))
    run.go(4)
    # every second sample is of case a: eight samples of b take the cursor to the end
    assert run.cursor == 16


def test_learning_lowers_the_loss(tmp_path: Path) -> None:
    """Bright is liver: a handful of steps must be enough to learn that."""
    rng = np.random.default_rng(1)
    liver = np.zeros((CHUNK, *SIZE), bool)
    liver[:, 8:24, 8:24, 4:12] = True
    for number in range(3):
        np.savez(
            chunk_path(tmp_path, number), x=(liver * 0.8 + rng.normal(0.1, 0.02, liver.shape)).astype(np.float16),
            labels=liver.astype(np.uint8), liver=(liver * 255).astype(np.uint8),
            missing=np.zeros((CHUNK, 32), bool), case=np.array(["a"] * CHUNK),
        )  # fmt: skip
    run = Run(tmp_path / "run", tmp_path, Plan(steps=24, lr=1e-2, warm_up=3))
    run.go(24)
    rows = (tmp_path / "run" / "log.csv").read_text("utf-8").splitlines()[1:]
    first, last = (float(row.split(",")[4]) for row in (rows[0], rows[-1]))
    assert last < first


def test_the_rate_rises_and_falls() -> None:
    plan = Plan(steps=200, lr=1.0, warm_up=10)
    rates = [plan.rate(k) for k in range(200)]
    assert max(rates) == pytest.approx(1.0)
    assert rates[0] == pytest.approx(0.1)
    assert rates[-1] < 0.02
    assert rates == sorted(rates[:11]) + sorted(rates[11:], reverse=True)
