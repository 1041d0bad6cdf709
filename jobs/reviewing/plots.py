"""The curves of a review, and expected against measured J, as a picture. matplotlib is imported here alone."""

import io
from typing import Any

from jobs.reviewing.scoring import EXPECTED_J, ReviewScore
from pipeline.errors import InvalidInput
from pipeline.storage.store import Store
from pipeline.storage.urls import name_of, parent_url

FORMATS = (".png", ".svg")
_COLOURS = ("tab:blue", "tab:orange")


def check_plot(url: str) -> None:
    """Whether `plot` can write there. Raises InvalidInput."""
    if not url.lower().endswith(FORMATS):
        raise InvalidInput(f"{url}: a plot ends in {' or '.join(FORMATS)}")
    _figure_class()


def plot(url: str, scored: ReviewScore) -> None:
    """Draw the curves to a path or URL. Raises as `check_plot`, InvalidOutput, StoreUnavailable."""
    check_plot(url)
    figure = _figure_class()(figsize=(8, 3.6), layout="constrained")
    found, reliable = figure.subplots(1, 2)
    _draw_found(found, scored)
    _draw_reliability(reliable, scored)
    buffer = io.BytesIO()
    figure.savefig(buffer, format=url.lower().rpartition(".")[2], dpi=110)
    Store(parent_url(url)).put(name_of(url), buffer.getvalue())


def _draw_found(axes: Any, scored: ReviewScore) -> None:
    for (name, review), colour in zip(scored.reviews.items(), _COLOURS, strict=True):
        axes.plot(*review.curve(), color=colour, label=name)
    axes.plot(*scored.reviews[EXPECTED_J].oracle_curve(), color="tab:green", linestyle="--", label="oracle")
    axes.plot([0, 1], [0, 1], color="tab:gray", linestyle=":", label="random")
    axes.set(xlabel="share reviewed", ylabel="share of bad masks (J < 0.5) found", xlim=(0, 1), ylim=(0, 1.02))
    axes.legend(loc="lower right")


def _draw_reliability(axes: Any, scored: ReviewScore) -> None:
    bins = scored.reliability
    most = max(one.number for one in bins)
    axes.plot([0, 1], [0, 1], color="tab:gray", linestyle=":")
    axes.plot([one.expected for one in bins], [one.measured for one in bins], color=_COLOURS[0])
    sizes = [10 + 90 * one.number / most for one in bins]
    axes.scatter([one.expected for one in bins], [one.measured for one in bins], s=sizes, color=_COLOURS[0])
    axes.set(xlabel="expected J", ylabel="measured J", xlim=(0, 1), ylim=(0, 1.02))


def _figure_class() -> Any:
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise InvalidInput("a plot needs matplotlib: install vos-batch[review]") from None
    return Figure
