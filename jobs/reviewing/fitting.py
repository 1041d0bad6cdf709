"""A quality model from object-frames whose J is known: boosted trees of few leaves, monotone where that is sure, and a
monotone curve from their sum to J, learnt from videos that the trees had not seen.

scikit-learn is imported here alone, and only when something is fitted.

Legend: N object-frames, D features, V videos.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from jobs.reviewing.curves import BAD
from jobs.reviewing.quality import QualityModel, rows_of
from jobs.reviewing.reliability import calibration_error, reliability
from jobs.reviewing.samples import J
from jobs.reviewing.trees import Tree
from pipeline.errors import InvalidInput

Floats = NDArray[np.float32]

SIGNS: Mapping[str, int] = {
    "uncertainty": -1,
    "score": 1,
    "uncertainty_around": -1,
    "uncertainty_since": -1,
    "uncertainty_worst": -1,
    "score_worst": 1,
    "overlap_worst": 1,
    "overlap_around": 1,
    "area_to_prompt": 0,
    "shrunk": 0,
    "area_change_worst": -1,
    "nearest_prompt": 0,
    "absent_share": -1,
    "largest_fragment": 0,
}
"""The features, and how J may go with them: 1 only up, -1 only down, 0 either way.

Chosen by cross-validation over videos: with all statistics, or without the signs, more was learnt of single videos.
"""


@dataclass(frozen=True, kw_only=True)
class FitSettings:
    """How a model is fitted."""

    trees: int = 60
    rate: float = 0.12
    """How much of what is left each tree takes over."""
    leaves: int = 5
    least_share: float = 0.1
    """Of all weight that a leaf holds at least: more than two or three videos have."""
    features_a_split: float = 0.4
    """Share of the features that a split chooses from."""
    folds: int = 8
    """At most; videos are never torn apart."""
    points: int = 12
    """Of the curve from sums to J."""
    signs: Mapping[str, int] = field(default_factory=lambda: SIGNS)
    """The features, and how J may go with them."""
    seed: int = 0


@dataclass(frozen=True, kw_only=True, eq=False)
class Fitted:
    """A model, and what it says of videos that it was not fitted on."""

    model: QualityModel
    expected: Floats
    """Of each object-frame, by a model and a curve of other videos [N]."""
    J: Floats
    """[N]."""
    video_N: NDArray[np.int64]
    """The number of its video [N]."""


_DEFAULTS = FitSettings()


def fit(videos: Sequence[pa.Table], settings: FitSettings = _DEFAULTS) -> Fitted:
    """Fit on videos, each a table of SAMPLES. Raises InvalidInput for fewer than three, or without scikit-learn."""
    if len(videos) < 3:
        raise InvalidInput(f"{len(videos)} videos have a truth: a model is fitted on three or more, better thirty")
    table = pa.concat_tables(videos)
    video_N = np.repeat(np.arange(len(videos)), [len(video) for video in videos])
    truth_N = table[J].to_numpy().astype(np.float32)
    weight_N = _weights(table, video_N)
    fold_N = _folds(len(videos), settings)[video_N]
    boosted = _Boosted(settings)
    unseen_N = np.zeros(len(table), np.float32)
    for fold in np.unique(fold_N):
        inside = fold_N != fold
        model = boosted.fit(table.filter(pa.array(inside)), truth_N[inside], weight_N[inside])
        unseen_N[~inside] = _sums(model, table.filter(pa.array(~inside)))
    expected_N = np.zeros(len(table), np.float32)
    for fold in np.unique(fold_N):
        inside = fold_N != fold
        curve = _curve(unseen_N[inside], truth_N[inside], weight_N[inside], settings.points)
        expected_N[~inside] = np.interp(unseen_N[~inside], *curve)
    whole = boosted.fit(table, truth_N, weight_N)
    sums, worth = _curve(unseen_N, truth_N, weight_N, settings.points)
    card = _card(expected_N, truth_N, video_N)
    return Fitted(
        model=replace(whole, sums=sums, worth=worth, card=card), expected=expected_N, J=truth_N, video_N=video_N
    )


def _card(expected_N: Floats, truth_N: Floats, video_N: NDArray[np.int64]) -> dict[str, Any]:
    bins = reliability(expected_N, truth_N, video_N)
    return {
        "videos": len(np.unique(video_N)),
        "object_frames": len(truth_N),
        "bad_share": float((truth_N < BAD).mean()),
        "calibration_error": calibration_error(bins),
        "reliability": [asdict(one) for one in bins],
    }


def _weights(table: pa.Table, video_N: NDArray[np.int64]) -> Floats:
    """Every object weighs as the root of its frames: a hundred frames of one say less than ten of ten."""
    tracks = video_N * (1 << 32) + table["object_id"].to_numpy()
    _, place, counts = np.unique(tracks, return_inverse=True, return_counts=True)
    weights: Floats = (1 / np.sqrt(counts[place])).astype(np.float32)
    weights /= weights.mean()
    return weights


def _folds(videos: int, settings: FitSettings) -> NDArray[np.int64]:
    """Of each video [V]."""
    folds = np.arange(videos) % min(settings.folds, videos)
    return np.random.default_rng(settings.seed).permutation(folds)


def _sums(model: QualityModel, table: pa.Table) -> Floats:
    """What the trees say, without the curve [N]."""
    plain = replace(model, sums=np.array([-10, 10], np.float32), worth=np.array([-10, 10], np.float32))
    return plain.expected_j(table)


def _curve(sums_N: Floats, truth_N: Floats, weight_N: Floats, points: int) -> tuple[Floats, Floats]:
    """Ascending sums and the J that object-frames about there had: it rises all the way, from 0 to 1.

    An order of review needs that: of what is flat nobody could tell which is worse.
    """
    order = np.argsort(sums_N, kind="stable")
    reach = weight_N[order].cumsum() / weight_N.sum()
    groups = [part for part in np.split(order, np.searchsorted(reach, np.arange(1, points) / points)) if len(part)]
    pools = _rising([_pool(sums_N[group], truth_N[group], weight_N[group]) for group in groups])
    (first, low), (last, high) = pools[0][:2], pools[-1][:2]
    ends = (first - max(low, _LEAST_STEP), 0.0), (last + max(1 - high, _LEAST_STEP), 1.0)
    inner = [(at, min(max(value, 0.0), 1.0)) for at, value, _ in pools]
    sums, worth = np.array([ends[0], *inner, ends[1]], np.float32).T
    return sums, worth


_LEAST_STEP = 1e-3


def _pool(sums: Floats, truth: Floats, weights: Floats) -> tuple[float, float, float]:
    return _mean(sums, weights), _mean(truth, weights), float(weights.sum())


def _rising(pools: Sequence[tuple[float, float, float]]) -> list[tuple[float, float, float]]:
    """Mean sum, mean J and weight of each, sums ascending: neighbours whose J falls are taken together."""
    found: list[tuple[float, float, float]] = []
    for pool in pools:
        while found and found[-1][1] >= pool[1]:
            before = found.pop()
            weight = before[2] + pool[2]
            at, value = ((before[i] * before[2] + pool[i] * pool[2]) / weight for i in (0, 1))
            pool = (at, value, weight)
        found.append(pool)
    return found


def _mean(values: Floats, weights: Floats) -> float:
    return float(np.average(values, weights=weights))


class _Boosted:
    """Trees, each of what those before it left."""

    def __init__(self, settings: FitSettings) -> None:
        self._settings = settings
        self._regressor = _regressor()

    def fit(self, table: pa.Table, truth_N: Floats, weight_N: Floats) -> QualityModel:
        features = tuple(self._settings.signs)
        unknown_D = _medians(table, features)
        rows_ND = rows_of(table, features, unknown_D)
        base = _mean(truth_N, weight_N)
        left_N, trees = truth_N - base, []
        for number in range(self._settings.trees):
            tree = self._tree(number, rows_ND, left_N, weight_N)
            left_N = left_N - tree.predict(rows_ND)
            trees.append(tree)
        ends = np.array([0, 1], np.float32)
        return QualityModel(
            features=features, unknown_D=unknown_D, base=base, trees=tuple(trees), sums=ends, worth=ends
        )

    def _tree(self, number: int, rows_ND: Floats, left_N: Floats, weight_N: Floats) -> Tree:
        settings = self._settings
        learner = self._regressor(
            max_leaf_nodes=settings.leaves,
            min_weight_fraction_leaf=settings.least_share,
            max_features=settings.features_a_split,
            monotonic_cst=list(self._settings.signs.values()),
            random_state=settings.seed * 10_007 + number,
        )
        learner.fit(rows_ND, left_N, sample_weight=weight_N)
        return _tree_of(learner.tree_, settings.rate)


def _tree_of(nodes: Any, rate: float) -> Tree:
    leaf = nodes.children_left < 0
    return Tree(
        feature_M=np.where(leaf, -1, nodes.feature).astype(np.int64),
        # The library compares 32-bit values with a 64-bit threshold: rounded down, the same go to the left.
        threshold_M=_rounded_down(np.where(leaf, 0, nodes.threshold)),
        left_M=np.where(leaf, -1, nodes.children_left).astype(np.int64),
        right_M=np.where(leaf, -1, nodes.children_right).astype(np.int64),
        value_M=(rate * nodes.value.reshape(-1)).astype(np.float32),
    )


def _rounded_down(values: NDArray[np.float64]) -> Floats:
    near = values.astype(np.float32)
    return np.where(near > values, np.nextafter(near, np.float32(-np.inf)), near)


def _medians(table: pa.Table, features: Sequence[str]) -> Floats:
    columns: Iterator[Floats] = (table[name].to_numpy() for name in features)
    return np.array([np.median(known) if len(known := c[np.isfinite(c)]) else 0 for c in columns], np.float32)


def _regressor() -> Any:
    try:
        from sklearn.tree import DecisionTreeRegressor
    except ImportError:
        raise InvalidInput("fitting needs scikit-learn: install vos-batch[review]") from None
    return DecisionTreeRegressor
