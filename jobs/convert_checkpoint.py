"""`vos-batch convert-checkpoint OFFICIAL.pth OUT.safetensors`: a published AFB-URR checkpoint in our format."""

from typing import Annotated

import typer

from jobs.terminal.console import exit_on_error, stdout
from model.checkpoint import fingerprint, to_bytes
from pipeline.input.weights import load_official
from pipeline.storage.store import Store
from pipeline.storage.urls import name_of, parent_url

app = typer.Typer(add_completion=False)


def convert(official: str, output: str) -> str:
    """Read the published file, write ours; returns the fingerprint. Raises InvalidCheckpoint."""
    network = load_official(official)
    card = {"name": "converted", "source": name_of(official), "licence": "that of the published weights"}
    Store(parent_url(output)).put(name_of(output), to_bytes(network, card))
    return fingerprint(network)


@app.command(name="convert-checkpoint")
def convert_command(
    official: Annotated[str, typer.Argument(metavar="OFFICIAL.pth", help="Published checkpoint: path or URL.")],
    output: Annotated[str, typer.Argument(metavar="OUT.safetensors", help="File to write: path or URL.")],
) -> None:
    """Convert a published AFB-URR checkpoint; nothing in it is executed."""
    console = stdout()
    with exit_on_error():
        mark = convert(official, output)
        console.print(f"wrote {output} (resnet50, fingerprint {mark})")
        console.print(f"next: vos-batch segment MANIFEST OUTPUT --checkpoint {output}")


if __name__ == "__main__":
    app()
