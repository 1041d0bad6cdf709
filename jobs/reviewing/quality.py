"""What a mask is worth without truth: from the statistics of an object-frame to the J that such ones had.

    model = load_model()
    model.expected_j(object_frames(video))

Legend: N object-frames, D features.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import resources
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from jobs.reviewing.statistics import STATISTICS
from jobs.reviewing.trees import Tree, tree_of
from pipeline.errors import InvalidInput
from pipeline.storage.store import Store, read_url
from pipeline.storage.urls import absolute_url, name_of, parent_url

Floats = NDArray[np.float32]

FORMAT, VERSION = "vos-batch-quality", 1
DEFAULT_MODEL = "default"
"""Name of the model in the box."""
_SUFFIX = ".json"
_MOST_BYTES = 64 << 20


@dataclass(frozen=True, kw_only=True, eq=False)
class QualityModel:
    """A sum of trees, and what J such a sum was worth."""

    features: tuple[str, ...]
    """Names of the statistics that it looks at."""
    unknown_D: Floats
    """What stands for a statistic that is not known."""
    base: float
    """The sum without any tree."""
    trees: tuple[Tree, ...]
    sums: Floats
    """Ascending sums whose J is known; between them it is interpolated."""
    worth: Floats
    """Their J, in [0, 1]."""
    card: Mapping[str, Any] = field(default_factory=dict)
    """What it was fitted on and how reliable it was there; it changes no number."""

    def expected_j(self, statistics: pa.Table) -> Floats:
        """The J expected of each row of OBJECT_FRAMES [N], in [0, 1]; 1 where a prompt says how the mask is."""
        rows_ND = self._rows(statistics)
        total_N = np.full(len(rows_ND), self.base, np.float32)
        for tree in self.trees:
            total_N += tree.predict(rows_ND)
        worth_N = np.interp(total_N, self.sums, self.worth).astype(np.float32)
        return np.where(statistics["prompted"].to_numpy(), np.float32(1), worth_N)

    def _rows(self, statistics: pa.Table) -> Floats:
        return rows_of(statistics, self.features, self.unknown_D)

    @property
    def fingerprint(self) -> str:
        """16 hex digits over everything but the card."""
        return hashlib.sha256(json.dumps(self._numbers(), sort_keys=True).encode()).hexdigest()[:16]

    def save(self, url: str) -> None:
        """Write it to a path or URL. Raises InvalidOutput, StoreUnavailable."""
        head = {"format": FORMAT, "version": VERSION, "fingerprint": self.fingerprint, "card": self.card}
        Store(parent_url(url)).put(name_of(url), _text(head | self._numbers()))

    def _numbers(self) -> dict[str, Any]:
        return {
            "features": list(self.features),
            "unknown": self.unknown_D.tolist(),
            "base": float(np.float32(self.base)),
            "sums": self.sums.tolist(),
            "worth": self.worth.tolist(),
            "trees": [tree.content() for tree in self.trees],
        }


def rows_of(statistics: pa.Table, features: tuple[str, ...], unknown_D: Floats) -> Floats:
    """These columns as numbers [N, D] without NaN."""
    rows_ND = np.empty((len(statistics), len(features)), np.float32)
    for d, name in enumerate(features):
        rows_ND[:, d] = statistics[name].to_numpy()
    return np.where(np.isfinite(rows_ND), rows_ND, unknown_D)


def model_names() -> list[str]:
    """The models in the box."""
    return sorted(entry.name.removesuffix(_SUFFIX) for entry in _box().iterdir() if entry.name.endswith(_SUFFIX))


def load_model(name: str = DEFAULT_MODEL) -> QualityModel:
    """A model by its name in the box, path or URL.

    Raises InvalidInput for what is no model of this version, a damaged one, or no file; StoreUnavailable.
    """
    if name in model_names():
        return _parse((_box() / f"{name}{_SUFFIX}").read_bytes(), name)
    url = absolute_url(name)
    try:
        return _parse(read_url(url, _MOST_BYTES), url)
    except FileNotFoundError:
        known = ", ".join(model_names())
        raise InvalidInput(f"{url}: no such model; in the box is {known}, others are files of `review fit`") from None


def _box() -> Any:
    return resources.files("jobs.reviewing") / "models"


def _parse(data: bytes, name: str) -> QualityModel:
    try:
        content = json.loads(data)
        told = (content["format"], content["version"])
    except (ValueError, TypeError, LookupError) as error:
        raise InvalidInput(f"{name} is no model of `vos-batch review fit` ({error!r})") from error
    if told != (FORMAT, VERSION):
        raise InvalidInput(f"{name} is a model of {told}, this version reads {(FORMAT, VERSION)}: fit it again")
    try:
        model = _model(content)
    except (ValueError, TypeError, LookupError) as error:
        raise InvalidInput(f"{name} is damaged ({error!r}): fit it again") from error
    if model.fingerprint != content.get("fingerprint"):
        raise InvalidInput(f"{name} is damaged: its numbers do not match its fingerprint; fit it again")
    return model


def _model(content: Mapping[str, Any]) -> QualityModel:
    features = tuple(content["features"])
    if unknown := [name for name in features if name not in STATISTICS]:
        raise ValueError(f"it looks at {', '.join(map(str, unknown))}, which this version does not know")
    sums, worth, unknown_D = (np.array(content[name], np.float32) for name in ("sums", "worth", "unknown"))
    if not len(sums) or sums.shape != worth.shape or unknown_D.shape != (len(features),) or (np.diff(sums) < 0).any():
        raise ValueError("its columns do not fit together")
    if not ((worth >= 0) & (worth <= 1)).all():
        raise ValueError("a J lies outside of 0 to 1")
    return QualityModel(
        features=features,
        unknown_D=unknown_D,
        base=float(content["base"]),
        trees=tuple(tree_of(tree, len(features)) for tree in content["trees"]),
        sums=sums,
        worth=worth,
        card=content["card"],
    )


def _text(content: Mapping[str, Any]) -> bytes:
    return (json.dumps(content, ensure_ascii=False) + "\n").encode()
