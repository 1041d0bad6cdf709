"""Our network, bank and loop give what the published code gave (tests/golden), by the limits in this file."""

import functools
import hashlib
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.overrides import TorchFunctionMode

from model.bank import AdaptiveBank, BankConfig
from model.checkpoint import our_name
from model.encoders import to_rows
from model.matcher import read
from model.network import AFBURR
from model.ops import one_hot
from model.slots import MOST_POSITIONS, Rows
from model.state import BankState, ChannelState
from model.uncertainty import ambiguity, uncertainty_loss
from tests.model import golden
from tests.model.golden import Arrays, CaseRun

MODULE_LIMIT = 1e-4
PROBABILITY_LIMIT = 1e-3
BANK_LIMIT = 1e-5
FINAL_BANK_LIMIT = 1e-3
LABEL_AGREEMENT = 0.999

MODULES = (
    *("q_r1", "q_r2", "q_r3", "q_r4", "q_key", "q_val", "m_r4", "m_key", "m_val", "matcher_out", "matcher_usage"),
    *("dec_pred2", "dec_r1_local_obj1", "dec_local_pred2", "decoder_out"),
    *("unc_out", "train_score", "train_uncertainty"),
)
WITHOUT_EVICTION = ("multi_default", "odd_size")
WITH_EVICTION = ("multi_evict", "single_evict")
UPDATES = ("merge_append", "all_merge", "none_merge")
EVICTIONS = ("evict_one_pass", "evict_many_pass", "evict_wipes_old_bank")


def worst_error(ours: Tensor | NDArray[Any], published: NDArray[Any]) -> float:
    """Largest difference as a share of the published maximum."""
    ours = np.asarray(ours.detach() if isinstance(ours, Tensor) else ours)
    assert ours.shape == published.shape
    return float(np.abs(ours - published).max() / np.abs(published).max())


# --- weights -------------------------------------------------------------------------------------------------------


def test_regenerated_weights_are_those_of_the_golden_runs() -> None:
    digest = hashlib.sha256()
    for name, value in golden.published_weights().items():
        digest.update(name.encode())
        digest.update(value.tobytes())
    assert digest.hexdigest() == golden.WEIGHTS_SHA256


def test_published_entries_map_one_to_one_onto_our_network() -> None:
    entries = golden.published_entries()
    ours = {name: (list(value.shape), str(value.dtype)) for name, value in AFBURR("resnet50").state_dict().items()}
    mapped = {our_name(entry["name"]): (entry["shape"], f"torch.{entry['dtype']}") for entry in entries}
    assert len(mapped) == len(entries) == 562
    assert mapped == ours
    assert round(sum(math.prod(shape) for shape, _ in ours.values()) / 1e6, 2) == 33.14


# --- parts of the network ------------------------------------------------------------------------------------------


class _Convolutions(TorchFunctionMode):
    """Records what goes into and comes out of every 2-d convolution, parts of convolutions too."""

    def __init__(self) -> None:
        super().__init__()
        self.inputs: dict[tuple[int, ...], Tensor] = {}
        """The last one of each shape."""
        self.outputs: dict[tuple[int, ...], Tensor] = {}

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        if func is torch.conv2d:
            self.inputs[tuple(args[0].shape)] = args[0]
            self.outputs[tuple(result.shape)] = result
        return result


@functools.cache
def module_results() -> dict[str, Tensor]:
    """What our parts give for the inputs of modules.npz, by the names there."""
    with torch.inference_mode():
        return {**_encoded(), **_read(), **_decoded(), **_uncertainty(), **_as_in_training()}


def _encoded() -> dict[str, Tensor]:
    network, given = golden.network(), golden.load("modules")
    query = network.query_encoder(golden.picture(given["frame1"]))
    q_key, q_val = network.key_value(query.r4)
    masks = one_hot(torch.from_numpy(given["label0"].astype(np.int32)), range(3))[None]
    m_r4 = network.reference_encoder(golden.picture(given["frame0"]), masks)[0]
    m_key, m_val = network.key_value(m_r4)
    maps = {"q_r1": query.r1, "q_r2": query.r2, "q_r3": query.r3, "q_r4": query.r4, "m_r4": m_r4}
    flat = {"q_key": q_key, "q_val": q_val, "m_key": m_key, "m_val": m_val}
    return maps | {name: value.flatten(2) for name, value in flat.items()}


def _memory() -> list[Rows]:
    given = golden.load("modules")
    keys, values = to_rows(_map(given["m_key"])), to_rows(_map(given["m_val"]))
    return [Rows(keys, values)]


def _map(flat: NDArray[Any]) -> Tensor:
    return torch.from_numpy(flat.reshape(*flat.shape[:-1], 4, 6))


def _read() -> dict[str, Tensor]:
    given = golden.load("modules")
    query = to_rows(_map(given["q_key"]))[0]
    (rows,) = _memory()
    readouts, use = read(rows, query)
    with_query = [torch.cat([readout.T, torch.from_numpy(given["q_val"])[0]]) for readout in readouts]
    return {"matcher_out": torch.stack(with_query)[None], "matcher_usage": use}


def _decoded() -> dict[str, Tensor]:
    network, given = golden.network(), golden.load("modules")
    features = network.query_encoder(golden.picture(given["frame1"]))
    readout, query_value = _map(given["matcher_out"]).split(512, dim=2)
    with _Convolutions() as convolutions:
        logits = network.decoder(readout, query_value[:, 0], features)
    return {
        "decoder_out": torch.sigmoid(logits[0]),
        "dec_pred2": convolutions.outputs[3, 2, 16, 24],
        "dec_local_pred2": convolutions.outputs[3, 2, 32, 48],
        "dec_r1_local_obj1": convolutions.inputs[3, 64, 32, 48][1:2],
    }


def _uncertainty() -> dict[str, Tensor]:
    return {"unc_out": ambiguity(torch.from_numpy(golden.load("modules")["unc_in"]), dim=1)}


def _as_in_training() -> dict[str, Tensor]:
    given = golden.load("modules")
    batch = torch.cat([golden.picture(given["frame1"]), golden.picture(given["frame2"])])
    logits = golden.network().segment(batch, [_memory(), _memory()]).logits
    return {"train_score": logits, "train_uncertainty": uncertainty_loss(logits)}


def module_error(name: str) -> float:
    return worst_error(module_results()[name], golden.load("modules")[name])


@pytest.mark.parametrize("name", MODULES)
def test_part_of_the_network_equals_the_published_one(name: str) -> None:
    assert module_error(name) < MODULE_LIMIT


# --- whole clips ---------------------------------------------------------------------------------------------------


def first_eviction(case: Arrays) -> int:
    """The first frame whose update evicts, in the published run; the number of frames when none does."""
    evicting = (t for t, evicted in enumerate(case["evicted"]) if np.any(evicted))
    return next(evicting, len(case["frames"]))


def probability_error(run: CaseRun, case: Arrays, frames: range) -> float:
    """Largest difference of a probability (their maximum is 1)."""
    errors = []
    for t in frames:
        ours = run.probabilities[t]
        assert ours is not None
        errors.append(float(np.abs(ours - case["probs"][t - 1]).max()))
    return max(errors)


def label_agreement(run: CaseRun, case: Arrays, frames: range) -> float:
    """The smallest share of equal pixels of a frame."""
    return min(float((run.labels[t] == case["labels"][t]).mean()) for t in frames)


def compared_frames(case: Arrays) -> range:
    """Predicted frames up to the one whose update evicts first (it is read before it is memorized)."""
    return range(1, min(first_eviction(case) + 1, len(case["frames"])))


def compared_banks(case: Arrays) -> range:
    """Frames after which the banks should be equal; the published run did not memorize the last one."""
    return range(min(first_eviction(case), len(case["frames"]) - 1))


def equal_sizes(run: CaseRun, case: Arrays) -> bool:
    return all(run.sizes(t) == case["bank_size"][t].tolist() for t in compared_banks(case))


@pytest.mark.parametrize("name", (*WITHOUT_EVICTION, *WITH_EVICTION))
def test_clip_equals_the_published_run_until_it_evicts(name: str) -> None:
    run, case = golden.published_run(name), golden.load(name)
    assert probability_error(run, case, compared_frames(case)) < PROBABILITY_LIMIT
    assert label_agreement(run, case, compared_frames(case)) >= LABEL_AGREEMENT
    assert equal_sizes(run, case)
    for t in compared_banks(case)[1:]:
        assert run.appended(t) == case["appended"][t].tolist()
        assert run.statistics[t].appended == case["appended"][t].sum()


@pytest.mark.parametrize("name", WITHOUT_EVICTION)
def test_clip_without_eviction_ends_with_the_published_bank(name: str) -> None:
    case = golden.load(name)
    assert compared_frames(case)[-1] == len(case["frames"]) - 1
    assert final_bank_error(name) < FINAL_BANK_LIMIT


def final_bank_error(name: str) -> float:
    """The worst channel's."""
    run, case = golden.published_run(name), golden.load(name)
    return max(_final_channel_error(run, case, channel) for channel in range(int(case["obj_n"])))


def _final_channel_error(run: CaseRun, case: Arrays, channel: int) -> float:
    """Keys and values before the last frame was memorized; ages and use after it was read."""
    info, rows = case[f"final_info_{channel}"], run.states[-2][channel]
    read_last = run.states[-1][channel]
    assert read_last.inserted[: len(info)].tolist() == info[:, 0].tolist()
    return max(
        worst_error(read_last.use[: len(info)], info[:, 1]),
        worst_error(rows.key[:8].T, case[f"final_keys_head_{channel}"]),
        worst_error(rows.value[:8].T, case[f"final_values_head_{channel}"]),
    )


@pytest.mark.parametrize("name", WITH_EVICTION)
def test_clip_with_evictions_stays_within_the_budget_and_evicts_no_more_than_needed(name: str) -> None:
    run, case = golden.published_run(name), golden.load(name)
    share = math.floor(case["class_budget"])
    for t in range(1, len(case["frames"])):
        wanted = [before + new for before, new in zip(run.sizes(t - 1), run.appended(t), strict=True)]
        assert run.sizes(t) == [min(size, share) for size in wanted]
        assert run.statistics[t].evicted == sum(max(0, size - share) for size in wanted)
    assert min(run.sizes(len(case["frames"]) - 1)) == share


# --- single updates of a bank --------------------------------------------------------------------------------------


def unit_arrays(unit: str) -> Arrays:
    prefix = f"{unit}/"
    return {name.removeprefix(prefix): a for name, a in golden.load("bank_units").items() if name.startswith(prefix)}


@functools.cache
def updated(unit: str) -> tuple[AdaptiveBank, int]:
    """Our bank after the update of a unit, and the rows evicted from all channels."""
    given = unit_arrays(unit)
    channels, budget, t, rate, threshold = given["params"].tolist()
    bank = AdaptiveBank(_unit_config(int(budget), rate, threshold))
    bank.begin_frame(channels=int(channels), positions=1, step=int(t))
    bank.restore(BankState(channels=dict(enumerate(_rows_before(given))), prompts={}), torch.device("cpu"))
    for channel in range(int(channels)):
        new = Rows(_rows(given["k1"][channel])[None], _rows(given["v1"][channel])[None])
        bank.absorb([channel], new, step=int(t))
    return bank, bank.statistics().evicted


def _unit_config(budget: int, rate: float, threshold: float) -> BankConfig:
    return BankConfig(
        budget=budget,
        update_rate=rate,
        merge_threshold=threshold,
        keep_norm=False,
        merges_count_as_use=False,
        published_shares=True,
    )


def _rows_before(given: Arrays) -> list[ChannelState]:
    return [
        ChannelState(
            key=_rows(key),
            value=_rows(value),
            order=torch.from_numpy(info[:, 0]).long() * MOST_POSITIONS + torch.arange(len(info)),
            use=torch.from_numpy(info[:, 1]),
            prompt=torch.zeros(len(info), dtype=torch.int64),
        )
        for key, value, info in zip(given["k0"], given["v0"], given["info0"], strict=True)
    ]


def _rows(columns: NDArray[Any]) -> Tensor:
    return torch.from_numpy(columns).T.contiguous()


def unit_error(unit: str) -> float:
    """Worst error over keys, values and use of all channels; insertion frames are equal."""
    bank, _ = updated(unit)
    given = unit_arrays(unit)
    errors = []
    for channel in bank.channels:
        rows, info = bank.stored(channel), given[f"info2_{channel}"]
        assert rows.inserted.tolist() == info[:, 0].tolist()
        pairs = ((rows.key.T, given[f"k2_{channel}"]), (rows.value.T, given[f"v2_{channel}"]), (rows.use, info[:, 1]))
        errors += [worst_error(ours, published) for ours, published in pairs]
    return max(errors)


@pytest.mark.parametrize("unit", UPDATES)
def test_update_equals_the_published_one(unit: str) -> None:
    assert unit_error(unit) < BANK_LIMIT


def published_survivors(given: Arrays, channel: int) -> int:
    """Old rows that the published eviction left."""
    return int(given["k0"].shape[2] - given["replace_n"][channel])


@pytest.mark.parametrize("unit", EVICTIONS)
def test_update_evicts_exactly_what_is_needed(unit: str) -> None:
    bank, evicted = updated(unit)
    given = unit_arrays(unit)
    share, old = math.floor(given["class_budget"]), given["k0"].shape[2]
    needed = 0
    for channel in bank.channels:
        appended = given[f"k2_{channel}"].shape[1] - published_survivors(given, channel)
        needed += max(0, old + appended - share)
        assert len(bank.stored(channel).use) == min(share, old + appended)
    assert evicted == needed


@pytest.mark.parametrize("unit", EVICTIONS)
def test_update_keeps_at_least_what_the_published_eviction_keeps(unit: str) -> None:
    bank, _ = updated(unit)
    given = unit_arrays(unit)
    for channel in bank.channels:
        ours = torch.cat([bank.stored(channel).key, bank.stored(channel).value], dim=1)
        theirs = _rows(np.concatenate([given[f"k2_{channel}"], given[f"v2_{channel}"]]))
        distance = torch.cdist(theirs.double(), ours.double()).min(dim=1).values
        assert float(distance.max()) < BANK_LIMIT * float(theirs.norm(dim=1).max())


def test_eviction_does_not_wipe_the_old_bank() -> None:
    bank, evicted = updated("evict_wipes_old_bank")
    given = unit_arrays("evict_wipes_old_bank")
    assert evicted < sum(given["replace_n"])
    for channel in bank.channels:
        assert published_survivors(given, channel) == 0
        assert int((bank.stored(channel).inserted < given["params"][2]).sum()) > 0


# --- the parity table ----------------------------------------------------------------------------------------------


def _clip_row(name: str) -> tuple[str, float, float, str]:
    run, case = golden.published_run(name), golden.load(name)
    frames = compared_frames(case)
    sizes = "equal" if equal_sizes(run, case) else "DIFFER"
    remark = f"labels {label_agreement(run, case, frames):.2%}, bank sizes {sizes}, frames 1-{frames[-1]}"
    return f"clip {name}", probability_error(run, case, frames), PROBABILITY_LIMIT, remark


def parity_table() -> list[tuple[str, float, float, str]]:
    """(what, worst relative error, its limit, remark) of everything that has a published result."""
    table = [(name, module_error(name), MODULE_LIMIT, "") for name in MODULES]
    table += [_clip_row(name) for name in (*WITHOUT_EVICTION, *WITH_EVICTION)]
    table += [(f"bank after {name}", final_bank_error(name), FINAL_BANK_LIMIT, "") for name in WITHOUT_EVICTION]
    return table + [(f"bank {unit}", unit_error(unit), BANK_LIMIT, "") for unit in UPDATES]


def test_parity_table(capsys: pytest.CaptureFixture[str]) -> None:
    table = parity_table()
    with capsys.disabled():
        print(f"\n{'against the published code':28}{'worst error':>12}{'limit':>9}")  # noqa: T201
        for what, error, limit, remark in table:
            print(f"{what:28}{error:12.1e}{limit:9.0e}  {remark}".rstrip())  # noqa: T201
    assert all(error < limit for _, error, limit, _ in table)
    assert not any("DIFFER" in remark for *_, remark in table)
