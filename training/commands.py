"""The command line of the training; what each command does stands in ``training/README.md``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(add_completion=False, help="Train hepacalc's liver network.", no_args_is_help=True)

Shared = Annotated[Path, typer.Option(help="Folder of the shared data.")]
Sources = Annotated[Path, typer.Option(help="Folder of the prepared sources.")]
Name = Annotated[str, typer.Option("--run-name", help="A word that finds the process again.")]


@app.command()
def prepare(
    shared: Shared,
    sources: Sources,
    digital: Annotated[int, typer.Option(help="How many digital patients.")] = 40,
    digital_weight: Annotated[float, typer.Option(help="Weight of all of them together.")] = 0.12,
    run_name: Name = "hepacalc-train",
) -> None:
    """Bring scans, labels and digital patients to 2.5 mm."""
    from training.cases import CASES
    from training.digital import digital_patient
    from training.prepare import prepare_case

    sources.mkdir(parents=True, exist_ok=True)
    for case in CASES:
        if not (sources / f"{case.name}.npz").exists():
            made = prepare_case(case, shared)
            made.save(sources)
            typer.echo(f"{made.name} {made.hu.shape} {made.liver.sum() / 255 * 2.5**3 / 1000:.0f} mL of liver")
    for number in range(digital):
        if not (sources / f"digital{number:03d}.npz").exists():
            digital_patient(number, digital_weight / digital).save(sources)
            typer.echo(f"digital patient {number}")


@app.command()
def samples(
    sources: Sources,
    folder: Annotated[Path, typer.Option(help="Where the samples go.")],
    chunks: Annotated[int, typer.Option(help="How many chunks of 16.")],
    seed: int = 1,
    first: int = 0,
    every: Annotated[int, typer.Option(help="Draw only each n-th chunk from the first, for several processes.")] = 1,
    run_name: Name = "hepacalc-train",
) -> None:
    """Draw samples ahead of the training."""
    from training.prepare import Source
    from training.samples import Generator, write_chunk

    folder.mkdir(parents=True, exist_ok=True)
    generator = Generator([Source.load(p) for p in sorted(sources.glob("*.npz"))], seed)
    for number in range(first, chunks, every):
        write_chunk(generator, number, folder)


@app.command()
def train(
    run: Annotated[Path, typer.Option(help="Folder of the run; resumed when it holds a checkpoint.")],
    samples: Annotated[Path, typer.Option(help="Folder of the samples.")],
    steps: Annotated[int, typer.Option(help="Length of the whole schedule.")],
    lr: float = 4e-3,
    stop: Annotated[int | None, typer.Option(help="Stop at this step; else at the end.")] = None,
    leave_out: Annotated[str, typer.Option(help="Cases whose samples are not used, with commas between.")] = "",
    start: Annotated[str | None, typer.Option(help="Liver ONNX or checkpoint to start from.")] = None,
    first_sample: int = 0,
    organs: Annotated[float, typer.Option(help="Weight of the organ head's loss.")] = 0.25,
    seed: int = 0,
    threads: int = 1,
    run_name: Name = "hepacalc-train",
) -> None:
    """Train, or go on training; SIGTERM saves and stops."""
    import signal

    import torch

    from training.learn import Plan, Run

    torch.set_num_threads(threads)
    going = Run(run, samples, Plan(steps, lr, leave_out, first_sample, start, organs, seed))

    def stop_now(_number: int, _frame: object) -> None:
        going.stopped = True

    signal.signal(signal.SIGTERM, stop_now)
    going.go(min(stop or steps, steps), tell=typer.echo)


@app.command()
def export(
    checkpoint: Annotated[Path, typer.Option(help="checkpoint.pt of a run.")],
    to: Annotated[Path, typer.Option(help="ONNX file to write.")],
    version: Annotated[str, typer.Option(help="Version that the file states.")],
    date: Annotated[str, typer.Option(help="Date that the file states, YYYY-MM-DD.")],
    leave_out: Annotated[str, typer.Option(help="Cases that the run has not seen, with commas between.")] = "",
    start: Annotated[str, typer.Option(help="What the first weights were.")] = "random weights",
    beside: Annotated[Path | None, typer.Option(help="Liver ONNX that answers too: the mean of both counts.")] = None,
    half: Annotated[bool, typer.Option(help="Store weights as float16.")] = True,
) -> None:
    """Write the running mean of a run's weights as ONNX.

    With ``--beside`` the file holds two networks and answers with the mean of their logits.
    """
    import torch

    from training.cases import CASES
    from training.network import LiverNet, folded_weights
    from training.onnx_file import read_members, write_model

    state = torch.load(checkpoint, weights_only=True)
    net = LiverNet()
    net.load_state_dict(state["smooth"])
    seen = [case for case in CASES if case.name not in leave_out.split(",")]
    metadata = {
        "version": version,
        "date": date,
        "steps": str(state["step"]),
        "start": start,
        "scans": "; ".join(f"{case.name}: {case.licence}" for case in seen),
        "labels": "pseudo-labels by OBELISK networks (MIT licence) and hepacalc's refinement; TotalSegmentator's own "
        "in its examples; digital patients of hepacalc with known truth",
        "licence": "Apache-2.0",
        "input": "x [1, 1, X, Y, Z], RAS, 4 mm, (clip(HU, -200, 300) + 200) / 250, sides multiples of 16",
    }
    members = [folded_weights(net), *(read_members(beside) if beside else [])]
    metadata["networks"] = str(len(members))
    size = write_model(members, metadata, to, half=half)
    typer.echo(f"{to}: {size} bytes")


@app.command()
def evaluate(
    shared: Shared,
    weights: Annotated[Path | None, typer.Option(help="ONNX to measure; the package's own when not given.")] = None,
    case: Annotated[list[str] | None, typer.Option(help="Only these scans.")] = None,
    digital: Annotated[int, typer.Option(help="How many digital patients.")] = 10,
    run_name: Name = "hepacalc-train",
) -> None:
    """Measure weights with the package's pipeline."""
    from itertools import chain

    from hepacalc.liver.embedded import EmbeddedSegmenter
    from training.cases import CASES
    from training.measure import measure, patients, scans

    segmenter = EmbeddedSegmenter(threads=1, weights=weights)
    names = case or [c.name for c in CASES]
    for result in measure(segmenter, chain(scans(shared, names), patients(range(700, 700 + digital)))):
        typer.echo(
            f"{result.name:36} Dice {result.dice:.4f} volume x {result.volume_ratio:.3f} "
            f"confidence {result.confidence:.2f} {result.refused}"
        )


@app.command()
def compare(
    samples: Annotated[Path, typer.Option(help="Folder of the samples.")],
    weights: Annotated[list[Path], typer.Option(help="ONNX files to compare.")],
    first: Annotated[int, typer.Option(help="First chunk; the networks must not have learnt from it.")],
    chunks: int = 6,
    run_name: Name = "hepacalc-train",
) -> None:
    """Compare weights on drawn samples at 4 mm, without refinement: what the drawn illnesses and artefacts do."""
    import numpy as np

    from training.measure import on_samples
    from training.samples import read_chunk

    drawn = [sample for k in range(first, first + chunks) for sample in read_chunk(samples, k)]
    for path in weights:
        results = list(on_samples(path, drawn))
        with_liver = [d for sample, d, _ in results if np.count_nonzero(sample.liver > 127) > 300]
        without = [ml for sample, _, ml in results if not (sample.liver > 127).any()]
        typer.echo(
            f"{path.name}: {len(with_liver)} samples with liver, Dice mean {np.mean(with_liver):.4f} median "
            f"{np.median(with_liver):.4f} worst tenth {np.quantile(with_liver, 0.1):.4f}; {len(without)} without, "
            f"{np.mean([ml > 60 for ml in without]):.1%} with more than 60 mL, mean {np.mean(without):.1f} mL"
        )


@app.command()
def segments_draw(
    folder: Annotated[Path, typer.Option(help="Where the livers go.")],
    count: Annotated[int, typer.Option(help="How many digital livers.")],
    first: int = 0,
    run_name: Name = "hepacalc-train",
) -> None:
    """Draw digital livers for the network that reads segments; those that are there stay."""
    from training.segments.draw import FIRST_SEED, draw

    folder.mkdir(parents=True, exist_ok=True)
    for number in range(first, first + count):
        path = folder / f"{FIRST_SEED + number}.npz"
        if not path.exists():
            draw(number).save(path)


@app.command()
def segments_train(
    livers: Annotated[Path, typer.Option(help="Folder of the livers; more may be drawn meanwhile.")],
    run: Annotated[Path, typer.Option(help="Folder of the run; one that was cut goes on.")],
    seconds: Annotated[float, typer.Option(help="How long to train.")],
    after: Annotated[Path | None, typer.Option(help="reader.pt of another run to begin with.")] = None,
    rate: Annotated[float, typer.Option(help="Highest learning rate.")] = 3e-3,
    threads: int = 1,
    run_name: Name = "hepacalc-train",
) -> None:
    """Train the network that reads segments."""
    import torch

    from training.segments.learn import learn

    torch.set_num_threads(threads)
    learn(livers, run, seconds, after=after, rate=rate, tell=typer.echo)


@app.command()
def segments_export(
    weights: Annotated[Path, typer.Option(help="reader.pt of a run.")],
    to: Annotated[Path, typer.Option(help="ONNX file to write.")],
    version: Annotated[str, typer.Option(help="Version that the file states.")],
    date: Annotated[str, typer.Option(help="Date that the file states, YYYY-MM-DD.")],
    run_name: Name = "hepacalc-train",
) -> None:
    """Write the network that reads segments as ONNX."""
    import torch

    from training.segments.network import ReaderNet, write_reader

    net = ReaderNet().eval()
    net.load_state_dict(torch.load(weights, weights_only=True))
    metadata = {
        "version": version,
        "date": date,
        "data": "digital livers of hepacalc's phantom alone, segments known by construction",
        "licence": "Apache-2.0",
        "input": "seen [1, 6, 64, 48, 64] at 4 mm and place [1, 6, 32, 24, 32], (z, y, x) to head, back and left; "
        "see hepacalc.liver.reader",
    }
    typer.echo(f"{to}: {write_reader(net, metadata, to)} bytes")
