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
    leave_out: Annotated[str | None, typer.Option(help="Case whose samples are not used.")] = None,
    start: Annotated[str | None, typer.Option(help="Liver ONNX or checkpoint to start from.")] = None,
    first_sample: int = 0,
    organs: Annotated[float, typer.Option(help="Weight of the organ head's loss.")] = 0.25,
    seed: int = 0,
    threads: int = 1,
    run_name: Name = "hepacalc-train",
) -> None:
    """Train, or go on training."""
    import torch

    from training.learn import Plan, Run

    torch.set_num_threads(threads)
    plan = Plan(steps, lr, leave_out, first_sample, start, organs, seed)
    Run(run, samples, plan).go(min(stop or steps, steps), tell=typer.echo)
