"""`vos-batch adapt MANIFEST OUTPUT.safetensors`: fine-tune weights on the prompts of a corpus, without further labels.

What a training needs to go on lies in a folder beside OUTPUT; the same call goes on where the last one stopped, to the
same weights.
"""

from typing import Annotated

import typer
from rich.console import Console

from jobs.terminal.console import exit_on_error, stdout
from jobs.terminal.options import BinaryMasksOption
from jobs.training.adaptation import Adaptation, Verdict, mark
from jobs.training.corpus import Prompts, Split, split
from jobs.training.keeper import LAST
from jobs.training.precision import fastest_precision
from jobs.training.progress import show_training
from jobs.training.start import best_device, train
from model.checkpoint import fingerprint, to_bytes
from model.network import AFBURR
from model.segmenter import Precision
from model.training import TrainingConfig
from pipeline.errors import InvalidInput
from pipeline.input.weights import DEFAULT_CHECKPOINT, load_network, names, read_card
from pipeline.storage.store import Store
from pipeline.storage.urls import absolute_url, name_of, parent_url

_SUFFIX = ".safetensors"
_LEARNING_RATE = 2e-4
_SAVE_EVERY = 25
"""Steps: what a kill costs at most."""
_SHOWN_FAULTS = 10


def _name(weights: str) -> str:
    """What messages and cards call weights: no path."""
    return weights if weights in names() else name_of(weights)


def _card(init: str, network: AFBURR, manifest: str) -> dict[str, str]:
    """The corpus by its name; what the first weights' licence says stays true."""
    known = read_card(init)
    kept: dict[str, str] = {key: known[key] for key in ("licence", "data") if key in known}
    corpus = name_of(manifest).rpartition(".")[0]
    return {**kept, "init": f"{_name(init)} ({fingerprint(network)})", "corpus": corpus}


def _counts(parts: Split) -> str:
    if parts.learnt == parts.held_back:
        return "one prompted frame: it is learnt from and decides, for there is no other"
    return f"prompted frames: {len(parts.learnt):,} to learn from, {len(parts.held_back):,} held back"


def _tell_of(prompts: Prompts, what: str, console: Console) -> None:
    console.print(f"{what}: {prompts.counts}")
    for fault in prompts.faults[:_SHOWN_FAULTS]:
        console.print(f"left out: {fault}")
    if len(prompts.faults) > _SHOWN_FAULTS:
        console.print(f"and {len(prompts.faults) - _SHOWN_FAULTS} more: `vos-batch manifest check` finds them")


def _judge(adaptation: Adaptation, init: str, output: str, console: Console) -> Verdict:
    """Score both weights, and write the adapted ones with what was found in their card."""
    last = Store(adaptation.output).url_of(LAST)
    adapted = load_network(last)
    console.print(f"scoring {_name(init)} and the adapted weights")
    verdict = adaptation.judge(load_network(init).to(best_device()), adapted.to(best_device()))
    found = f"{'better' if verdict.is_better else 'not better'} than {_name(init)}: {verdict}"
    weights = to_bytes(adapted, {**read_card(last), "verdict": found})
    Store(parent_url(output)).put(name_of(output), weights)
    return verdict


def _advice(verdict: Verdict, init: str, output: str) -> str:
    if verdict.is_better:
        return f"better, use it: vos-batch segment MANIFEST OUTPUT --checkpoint {output}"
    return f"not better, keep {_name(init)}: the gain is not beyond two standard errors"


app = typer.Typer(add_completion=False)


@app.command(name="adapt")
def adapt_command(
    manifest: Annotated[str, typer.Argument(metavar="MANIFEST", help="Videos and their prompts: path or URL.")],
    output: Annotated[str, typer.Argument(metavar="OUTPUT.safetensors", help="File to write: path or URL.")],
    init: Annotated[str, typer.Option(metavar="NAME|PATH", help="Weights to begin with.")] = DEFAULT_CHECKPOINT,
    steps: Annotated[int, typer.Option(min=1)] = 250,
    side: Annotated[int, typer.Option(min=16, help="Side of the square crops, in pixels.")] = 192,
    precision: Annotated[
        Precision | None, typer.Option(help="Default: bf16 where this machine has units for it, else fp32.")
    ] = None,
    workers: Annotated[int, typer.Option(min=1, help="Share each step's clips among so many, with Ray Train.")] = 1,
    torch_threads: Annotated[int, typer.Option(min=1, help="Threads of each worker on the CPU.")] = 1,
    binary_masks: BinaryMasksOption = False,
) -> None:
    """Adapt weights to a corpus by its own prompts, and say whether that helped."""
    console = stdout()
    with exit_on_error():
        if not output.endswith(_SUFFIX):
            raise InvalidInput(f"{output}: weights are a file that ends in {_SUFFIX}")
        manifest, output = absolute_url(manifest), absolute_url(output)
        init = init if init in names() else absolute_url(init)
        network = load_network(init)
        precision = precision or fastest_precision()
        parts = split(manifest)
        same = mark(parts, fingerprint(network), steps, side, precision, binary_masks)
        adaptation = Adaptation(
            manifest=manifest,
            output=f"{output.removesuffix(_SUFFIX)}-{same}",
            config=TrainingConfig(
                steps=steps, learning_rate=_LEARNING_RATE, confidence_weight=0.0, precision=precision
            ),
            side=side,
            binary_masks=binary_masks,
            torch_threads=torch_threads,
            save_every=_SAVE_EVERY,
            card=_card(init, network, manifest),
        )
        console.print(_counts(parts))
        _tell_of(adaptation.held_back, "held back", console)  # before the training: without them nothing decides
        with show_training(console) as reporter:
            train(adaptation, network, reporter, workers=workers)
        _tell_of(adaptation.learnt, "learnt from", console)
        verdict = _judge(adaptation, init, output, console)
        console.print(str(verdict))
        console.print(f"wrote {output}; its log and curves: {adaptation.output}")
        console.print(_advice(verdict, init, output))


if __name__ == "__main__":
    app()
