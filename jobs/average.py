"""`vos-batch average A B ... OUT.safetensors`: the mean of some weights; the card tells the mixture."""

from collections.abc import Sequence
from typing import Annotated

import typer

from jobs.terminal.console import exit_on_error
from model.averaging import averaged
from model.checkpoint import fingerprint, to_bytes
from model.network import AFBURR
from pipeline.errors import InvalidInput
from pipeline.input.weights import load_network, names, read_card
from pipeline.storage.store import Store
from pipeline.storage.urls import name_of, parent_url

_KEPT = ("licence", "data")
"""What the card says of all its parts."""


def average(parts: Sequence[str], shares: Sequence[float], output: str, *, half: bool = False) -> AFBURR:
    """Write the mean of the weights `parts` (names, paths or URLs); returns it.

    Raises InvalidCheckpoint, InvalidInput for weights of different networks or shares that make no mean.
    """
    networks = [load_network(part) for part in parts]
    try:
        mean = averaged(networks, shares)
    except ValueError as error:
        raise InvalidInput(str(error)) from error
    Store(parent_url(output)).put(name_of(output), to_bytes(mean, _card(parts, networks, shares), half=half))
    return mean


def _card(parts: Sequence[str], networks: Sequence[AFBURR], shares: Sequence[float]) -> dict[str, str]:
    mixture = (
        f"{share / sum(shares):.3f} of {part if part in names() else name_of(part)} ({fingerprint(network)})"
        for part, network, share in zip(parts, networks, shares, strict=True)
    )
    cards = [read_card(part) for part in parts]
    kept = {key: "; ".join(dict.fromkeys(card[key] for card in cards if key in card)) for key in _KEPT}
    return {"mixture": ", ".join(mixture)} | {key: text for key, text in kept.items() if text}


app = typer.Typer(add_completion=False)


@app.command(name="average")
def average_command(
    parts: Annotated[list[str], typer.Argument(metavar="A B ...", help="Weights, as for segment.")],
    output: Annotated[str, typer.Argument(metavar="OUT.safetensors", help="File to write: path or URL.")],
    share: Annotated[
        list[float] | None,
        typer.Option(help="Of each of the weights, relative to each other, in their order; default: all the same."),
    ] = None,
    half: Annotated[bool, typer.Option("--half", help="Store 16 bits a value: half the size.")] = False,
) -> None:
    """Write the mean of weights, each with a share."""
    with exit_on_error():
        shares = share or [1.0] * len(parts)
        if len(shares) != len(parts):
            raise InvalidInput(f"{len(parts)} weights and {len(shares)} shares: give one --share for each, or none")
        mean = average(parts, shares, output, half=half)
        typer.echo(f"wrote {output} (the mean of {len(parts)}, {mean.preset})")
        typer.echo(f"next: vos-batch segment MANIFEST OUTPUT --checkpoint {output}")


if __name__ == "__main__":
    app()
