"""Models fitted on object-frames whose J is known."""

import builtins
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from sklearn.ensemble import GradientBoostingRegressor

from jobs.reviewing.fitting import SIGNS, FitSettings, Fitted, fit
from jobs.reviewing.quality import rows_of
from jobs.reviewing.samples import J
from pipeline.errors import InvalidInput
from tests.jobs.reviewing.made import samples

QUICK = FitSettings(trees=40, rate=0.15, folds=4)
VIDEOS = [samples(f"v{number}", number) for number in range(8)]


@pytest.fixture(scope="module")
def fitted() -> Fitted:
    return fit(VIDEOS, QUICK)


def test_it_finds_what_goes_with_the_truth_in_videos_it_has_not_seen(fitted: Fitted) -> None:
    unseen = samples("new", 99, frames=200)
    expected, truth = fitted.model.expected_j(unseen), unseen[J].to_numpy()
    assert np.corrcoef(expected, truth)[0, 1] > 0.9
    assert abs(expected.mean() - truth.mean()) < 0.05


def test_what_it_expected_of_each_video_came_from_others(fitted: Fitted) -> None:
    """With J shuffled there is nothing to learn but the mean, and who had seen the video would know better."""
    rng = np.random.default_rng(0)
    column = VIDEOS[0].column_names.index(J)
    field = VIDEOS[0].schema.field(J)
    shuffled = [video.set_column(column, field, [rng.permutation(video[J].to_numpy())]) for video in VIDEOS]
    blind = fit(shuffled, QUICK)
    assert abs(np.corrcoef(blind.expected, blind.J)[0, 1]) < 0.15
    assert np.corrcoef(fitted.expected, fitted.J)[0, 1] > 0.9


def test_the_card_tells_what_it_was_fitted_on(fitted: Fitted) -> None:
    card: Mapping[str, Any] = fitted.model.card
    assert (card["videos"], card["object_frames"]) == (8, 320)
    assert card["calibration_error"] < 0.05
    assert sum(one["number"] for one in card["reliability"]) == 320


def test_the_same_again(fitted: Fitted) -> None:
    assert fit(VIDEOS, QUICK).model.fingerprint == fitted.model.fingerprint
    assert fit(VIDEOS, replace(QUICK, seed=1)).model.fingerprint != fitted.model.fingerprint


def test_trees_say_what_those_of_the_library_say() -> None:
    """Boosted by the library itself, with everything that is drawn or weighed switched off."""
    settings = FitSettings(
        trees=20, rate=0.2, leaves=4, least_share=0.0, features_a_split=1.0, folds=4, signs=dict.fromkeys(SIGNS, 0)
    )
    model = fit(VIDEOS, settings).model
    rows = np.concatenate([rows_of(video, model.features, model.unknown_D) for video in VIDEOS])
    truth = np.concatenate([video[J].to_numpy() for video in VIDEOS])
    theirs = GradientBoostingRegressor(n_estimators=20, learning_rate=0.2, max_leaf_nodes=4, random_state=0).fit(
        rows, truth
    )
    sums = model.base + sum(tree.predict(rows) for tree in model.trees)
    assert np.abs(sums - theirs.predict(rows)).max() < 1e-4


def test_fewer_than_three_videos_say_nothing_of_others() -> None:
    with pytest.raises(InvalidInput, match="three or more"):
        fit(VIDEOS[:2], QUICK)


def test_without_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *rest: Any) -> Any:
        if name.startswith("sklearn"):
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(InvalidInput, match=r"install vos-batch\[review\]"):
        fit(VIDEOS, QUICK)
