"""`vos-batch checkpoints`: the weights that come with the package, and what they say of themselves."""

import typer

from jobs.terminal.console import exit_on_error, stdout
from pipeline.input.weights import DEFAULT_CHECKPOINT, names, read_card

app = typer.Typer(add_completion=False)


@app.command(name="checkpoints")
def checkpoints_command() -> None:
    """List the checkpoints that --checkpoint takes by name."""
    console = stdout()
    with exit_on_error():
        for name in names():
            console.print(f"{name}{' (default)' if name == DEFAULT_CHECKPOINT else ''}", style="bold")
            for key, value in sorted(read_card(name).items()):
                console.print(f"  {key}: {value}")


if __name__ == "__main__":
    app()
