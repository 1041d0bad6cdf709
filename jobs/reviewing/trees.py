"""A sum of small regression trees as plain arrays.

Legend: N rows, D features, M nodes of a tree.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
_LEAF = -1


@dataclass(frozen=True, kw_only=True, eq=False)
class Tree:
    """Nodes in arrays; the root is the first."""

    feature_M: NDArray[np.int64]
    """Which feature is asked; -1 in a leaf."""
    threshold_M: Floats
    """Who is at most as large goes to the left."""
    left_M: NDArray[np.int64]
    """The node to the left; behind its own, so that every way ends."""
    right_M: NDArray[np.int64]
    value_M: Floats
    """What a leaf adds."""

    def predict(self, rows_ND: Floats) -> Floats:
        """What the tree adds to each row [N]; there is no NaN among the rows."""
        node_N = np.zeros(len(rows_ND), np.int64)
        every_N = np.arange(len(rows_ND))
        while (inner_N := self.feature_M[node_N] != _LEAF).any():
            at, rows = node_N[inner_N], every_N[inner_N]
            goes_left = rows_ND[rows, self.feature_M[at]] <= self.threshold_M[at]
            node_N[inner_N] = np.where(goes_left, self.left_M[at], self.right_M[at])
        return self.value_M[node_N]

    def content(self) -> dict[str, list[float]]:
        """As JSON holds it."""
        return {name: getattr(self, f"{name}_M").tolist() for name in _FIELDS}


_FIELDS = ("feature", "threshold", "left", "right", "value")


def tree_of(content: Mapping[str, Sequence[float]], features: int) -> Tree:
    """What `content` gave, for rows of so many `features`. Raises ValueError, KeyError, TypeError."""
    kinds: dict[str, Any] = dict.fromkeys(("feature", "left", "right"), np.int64)
    arrays = {name: np.array(content[name], kinds.get(name, np.float32)) for name in _FIELDS}
    nodes = np.arange(len(arrays["value"]))
    if {array.shape for array in arrays.values()} != {nodes.shape} or not len(nodes):
        raise ValueError("a tree's arrays have different lengths, or none")
    inner = arrays["feature"] != _LEAF
    for name in ("left", "right"):
        if not ((arrays[name] > nodes) & (arrays[name] < len(nodes)))[inner].all():
            raise ValueError(f"a tree's {name} leads nowhere")
    if not ((arrays["feature"] >= _LEAF) & (arrays["feature"] < features)).all():
        raise ValueError("a tree asks for a feature that is none")
    return Tree(**{f"{name}_M": array for name, array in arrays.items()})
