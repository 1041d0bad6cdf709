"""What a model is worth on an output with a truth: which bad masks its order of review finds."""

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from jobs.evaluation.matching import Truth
from jobs.reviewing.curves import Review
from jobs.reviewing.quality import QualityModel
from jobs.reviewing.reliability import Bin, reliability
from jobs.reviewing.samples import J, read_samples
from model.metrics import rank_correlation
from pipeline.output.batches import put_table
from pipeline.storage.store import Store
from pipeline.storage.urls import name_of, parent_url

REVIEWED = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5)
"""Shares reviewed that are shown."""
EXPECTED_J, UNCERTAINTY = "expected J", "uncertainty"


@dataclass(frozen=True, kw_only=True, eq=False)
class ReviewScore:
    """Two orders of review of an output, by expected J and by plain uncertainty, against its truth."""

    table: pa.Table
    """video_id, frame_index, object_id, expected_j, uncertainty and j of every object-frame that has a truth."""
    reviews: dict[str, Review]
    """By the name of the order."""
    skipped: dict[str, str]
    """Why a video counts for nothing, by video_id."""

    @property
    def reliability(self) -> list[Bin]:
        """Expected against measured J."""
        videos = np.unique(self.table["video_id"].to_pylist(), return_inverse=True)[1]
        return reliability(_column(self.table, "expected_j"), _column(self.table, J), videos)

    def spearman(self, name: str) -> float | None:
        """Rank correlation of an order with J; None where nothing can be told."""
        review = self.reviews[name]
        return rank_correlation(list(zip(review.order_N.tolist(), review.J_N.tolist(), strict=True)))

    def content(self) -> dict[str, Any]:
        """All numbers, for JSON."""
        return {
            "object_frames": len(self.table),
            "videos": len(self.table["video_id"].unique()),
            "bad": int(self.reviews[EXPECTED_J].is_bad.sum()),
            "skipped": self.skipped,
            "orders": {name: self._of_order(name) for name in self.reviews},
            "reliability": [vars(one) for one in self.reliability],
        }

    def _of_order(self, name: str) -> dict[str, Any]:
        review = self.reviews[name]
        shares = [
            {
                "reviewed": share,
                "found": _number(review.found(share)),
                "oracle": _number(review.oracle(share)),
                "gain": _number(review.gain(share)),
            }
            for share in REVIEWED
        ]
        return {
            "shares": shares,
            "auroc": _number(review.auroc),
            "aurc": _number(review.aurc),
            "oracle_aurc": _number(review.oracle_aurc),
            "spearman": self.spearman(name),
        }


def score(output: str, truth: Truth, model: QualityModel) -> ReviewScore:
    """Score a model on an output. Raises as `read_samples`."""
    samples = read_samples(output, truth)
    table = samples.table
    expected = model.expected_j(table)
    kept = table.select(["video_id", "frame_index", "object_id", "uncertainty", J])
    J_N = _column(table, J)
    return ReviewScore(
        table=kept.append_column("expected_j", pa.array(expected, pa.float32())),
        reviews={
            EXPECTED_J: Review(order_N=expected.astype(np.float64), J_N=J_N),
            UNCERTAINTY: Review(order_N=-np.nan_to_num(_column(table, "uncertainty")), J_N=J_N),
        },
        skipped=dict(samples.skipped),
    )


def write_object_frames(url: str, scored: ReviewScore) -> int:
    """Write the table as Parquet to a path or URL; the number of rows. Raises InvalidOutput, StoreUnavailable."""
    put_table(Store(parent_url(url)), name_of(url), scored.table)
    return len(scored.table)


def write_numbers(url: str, scored: ReviewScore) -> None:
    """Write all numbers as JSON to a path or URL. Raises InvalidOutput, StoreUnavailable."""
    text = json.dumps(scored.content(), ensure_ascii=False, indent=1, allow_nan=False) + "\n"
    Store(parent_url(url)).put(name_of(url), text.encode())


def _column(table: pa.Table, name: str) -> NDArray[np.float64]:
    values: NDArray[np.float64] = table[name].to_numpy().astype(np.float64)
    return values


def _number(value: float) -> float | None:
    return None if np.isnan(value) else value
