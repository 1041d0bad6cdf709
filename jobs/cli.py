"""The `vos-batch` command: one job a sub-command, each also runnable as `python -m jobs.<name>`."""

import typer

from jobs import (
    ablate,
    adapt,
    average,
    benchmark,
    checkpoints,
    compare,
    compose,
    convert_checkpoint,
    demo,
    evaluate,
    export,
    manifest,
    report,
    review,
    segment,
    status,
    train,
    verify,
)

app = typer.Typer(
    add_completion=False, no_args_is_help=True, help="Batch video object segmentation: masks and uncertainty as tables."
)
_JOBS = (
    segment, status, verify, export, report, evaluate, compare, benchmark, demo, train, adapt, compose, ablate, average,
    checkpoints, convert_checkpoint,
)  # fmt: skip
for job in _JOBS:
    app.registered_commands += job.app.registered_commands
app.add_typer(manifest.app, name="manifest", help="Make manifests.")
app.add_typer(review.app, name="review", help="Find the masks that a person should look at.")


def main() -> None:
    """Entry point of the command."""
    app()


if __name__ == "__main__":
    main()
