import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from model.checkpoint import fingerprint
from model.network import AFBURR, NEARNESS, PRESETS, untrained, with_weights_in
from model.ops import one_hot
from model.place import hint, seen
from model.slots import Rows
from model.uncertainty import confidence_loss
from tests.model.builders import clip, copy_of, follow, network, pictures, prompt, segmenter

Memory = list[list[Rows]]


def scene(
    num_frames: int = 2, objects: int = 2, height: int = 64, width: int = 96, seed: int = 1
) -> tuple[Tensor, ...]:
    """Pictures [T, 3, H, W], masks [T, K, H, W], labels [T, H, W]."""
    frames, labels = clip(num_frames, objects, height=height, width=width, seed=seed)
    given = torch.from_numpy(labels)
    return pictures(frames), torch.stack([one_hot(one, range(objects + 1)) for one in given]), given


def both(first: Memory, second: Memory) -> Memory:
    """The rows of two frames, as training remembers them."""
    return [
        [
            Rows(torch.cat([a.key, b.key], dim=1), torch.cat([a.value, b.value], dim=1))
            for a, b in zip(one, other, strict=True)
        ]
        for one, other in zip(first, second, strict=True)
    ]


def test_memorize_gives_rows_for_each_picture_and_channel() -> None:
    picture, masks, _ = scene()
    with torch.inference_mode():
        memory = network().memorize(picture, masks)
    assert [len(parts) for parts in memory] == [1, 1]
    assert all(rows.key.shape == (3, 24, 64) and rows.value.shape == (3, 24, 128) for (rows,) in memory)


def test_segment_gives_logits_and_the_use_of_every_row() -> None:
    picture, masks, _ = scene()
    with torch.inference_mode():
        memory = network().memorize(picture, masks)
        found = network().segment(picture, memory)
    assert found.logits.shape == (2, 3, 64, 96)
    assert found.logits.dtype == torch.float32
    assert [[use.shape for use in parts] for parts in found.use] == [[(3, 24)]] * 2
    assert all((use >= 0).all() and use.sum() > 0 for channels in found.use for use in channels)


def test_a_batch_of_two_equals_two_singles() -> None:
    picture, masks, _ = scene()
    with torch.inference_mode():
        memory = network().memorize(picture, masks)
        logits = network().segment(picture, memory).logits
        for b in range(2):
            (alone,) = network().memorize(picture[b : b + 1], masks[b : b + 1])
            for rows, batched in zip(alone, memory[b], strict=True):
                torch.testing.assert_close(rows.key, batched.key, atol=1e-5, rtol=1e-5)
                torch.testing.assert_close(rows.value, batched.value, atol=1e-5, rtol=1e-5)
            single = network().segment(picture[b : b + 1], [alone]).logits
            torch.testing.assert_close(single[0], logits[b], atol=1e-5, rtol=1e-5)


def test_each_channel_s_rows_depend_on_its_own_mask_alone() -> None:
    picture, masks, _ = scene(1)
    other = masks.clone()
    other[:, 2] = masks[:, 2].flip(-1)
    with torch.inference_mode():
        ((first,),), ((second,),) = network().memorize(picture, masks), network().memorize(picture, other)
    torch.testing.assert_close(first.value[1], second.value[1])
    assert not torch.allclose(first.value[2], second.value[2], atol=1e-3)


@pytest.mark.parametrize("chunk", [1, 2])
def test_chunks_of_channels_agree(chunk: int) -> None:
    picture, masks, _ = scene(2)
    with torch.inference_mode():
        whole, parts = network().memorize(picture, masks), network().memorize(picture, masks, chunk=chunk)
        for rows, other in zip(whole[0] + whole[1], parts[0] + parts[1], strict=True):
            torch.testing.assert_close(rows.key, other.key, atol=1e-5, rtol=1e-5)
        first, second = network().segment(picture, whole), network().segment(picture, whole, chunk=chunk)
    torch.testing.assert_close(first.logits, second.logits, atol=1e-5, rtol=1e-5)


def test_a_small_workspace_changes_nothing() -> None:
    picture, masks, _ = scene(1)
    with torch.inference_mode():
        memory = network().memorize(picture, masks)
        first, second = network().segment(picture, memory), network().segment(picture, memory, workspace=50)
    torch.testing.assert_close(first.logits, second.logits, atol=1e-5, rtol=1e-5)
    for use, other in zip(first.use[0], second.use[0], strict=True):
        torch.testing.assert_close(use, other)


def back_propagate(trained: AFBURR, size: int) -> None:
    """Two frames of a clip as training goes through them."""
    picture, masks, labels = scene(3, height=size, width=size)
    first = trained.memorize(picture[:1], masks[:1])
    told = hint(seen(masks[0]))[None] if trained.takes_hints else None
    predicted = torch.softmax(trained.segment(picture[1:2], first, hint_BKCyx=told).logits, dim=1)
    second = trained.memorize(picture[1:2], predicted)
    logits = trained.segment(picture[2:3], both(first, second), nearby=second).logits
    confidence_loss(logits, labels[2:3]).total.backward()


@pytest.mark.parametrize(("preset", "size"), [("lite0", 64), ("resnet50", 32)])
def test_gradients_reach_every_parameter_through_two_frames(preset: str, size: int) -> None:
    trained = copy_of(network(preset)).train()
    back_propagate(trained, size)
    for name, parameter in trained.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.abs().max() > 0, name


def test_the_loss_reaches_the_first_frame_s_mask_through_the_memory() -> None:
    picture, masks, labels = scene(2)
    soft = masks[:1].clone().requires_grad_()
    memory = network().memorize(picture[:1], soft)
    confidence_loss(network().segment(picture[1:2], memory).logits, labels[1:2]).total.backward()
    network().zero_grad()
    assert soft.grad is not None
    assert soft.grad.abs().sum() > 0


@given(height=st.integers(1, 50), width=st.integers(1, 50))
def test_any_size(height: int, width: int) -> None:
    picture, masks = torch.rand(1, 3, height, width), torch.rand(1, 2, height, width)
    with torch.inference_mode():
        memory = network().memorize(picture, masks)
        logits = network().segment(picture, memory).logits
    assert logits.shape == (1, 2, height, width)
    assert logits.isfinite().all()


@pytest.mark.parametrize(("height", "width", "top", "left"), [(17, 33, 7, 7), (31, 50, 0, 7), (64, 95, 0, 0)])
def test_odd_sizes_are_padded_with_zeros_and_cropped(height: int, width: int, top: int, left: int) -> None:
    picture, masks, _ = scene(1, height=height, width=width)
    rows, columns = -(-height // 16) * 16, -(-width // 16) * 16
    inside = (..., slice(top, top + height), slice(left, left + width))
    large, large_masks = torch.zeros(1, 3, rows, columns), torch.zeros(1, 3, rows, columns)
    large[inside], large_masks[inside] = picture, masks
    with torch.inference_mode():
        found = network().segment(picture, network().memorize(picture, masks))
        expected = network().segment(large, network().memorize(large, large_masks))
    torch.testing.assert_close(found.logits, expected.logits[inside], atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("preset", list(PRESETS))
def test_untrained_weights_are_reproducible(preset: str) -> None:
    assert fingerprint(untrained(preset)) == fingerprint(network(preset))


def test_another_seed_gives_other_weights() -> None:
    assert fingerprint(untrained(seed=1)) != fingerprint(network())


@pytest.mark.parametrize("preset", list(PRESETS))
def test_untrained_activations_are_finite_and_not_flat(preset: str) -> None:
    picture, masks, _ = scene(1)
    with torch.inference_mode():
        features = network(preset).query_encoder(picture)
        (memory,) = network(preset).memorize(picture, masks)
    for values in (*features, *(rows.key for rows in memory), *(rows.value for rows in memory)):
        assert values.isfinite().all()
        assert 1e-3 < values.std() < 1e3


@pytest.mark.parametrize("preset", list(PRESETS))
def test_untrained_keys_both_merge_and_append(preset: str) -> None:
    frames, labels = clip(4)
    results = follow(segmenter(network(preset)), frames, {0: prompt(labels[0])})
    assert sum(result.bank.merged for result in results[1:]) > 0
    assert sum(result.bank.appended for result in results[1:]) > 0


def test_bf16_stays_close_to_fp32() -> None:
    picture, masks, _ = scene(2)
    with torch.inference_mode():
        exact = network().segment(picture[1:], network().memorize(picture[:1], masks[:1])).logits
        with torch.autocast("cpu", torch.bfloat16):
            memory = network().memorize(picture[:1], masks[:1])
            rounded = network().segment(picture[1:], memory).logits
    assert rounded.dtype == torch.float32
    assert all(rows.key.dtype == torch.float32 and rows.value.dtype == torch.float32 for rows in memory[0])
    torch.testing.assert_close(rounded.softmax(1), exact.softmax(1), atol=0.03, rtol=0)


def test_held_weights_give_what_converted_ones_give() -> None:
    picture, masks, _ = scene()
    held = with_weights_in(network(), torch.bfloat16)
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        memory = network().memorize(picture, masks)
        assert torch.equal(held.memorize(picture, masks)[0][0].value, memory[0][0].value)
        assert torch.equal(held.segment(picture, memory).logits, network().segment(picture, memory).logits)


def test_held_weights_leave_the_network_as_it_was() -> None:
    before = fingerprint(network())
    held = with_weights_in(network(), torch.bfloat16)
    assert {p.dtype for name, p in held.named_parameters() if name != NEARNESS} == {torch.bfloat16}
    assert fingerprint(network()) == before


@pytest.mark.parametrize("preset", PRESETS)
def test_weights_have_their_channels_side_by_side(preset: str) -> None:
    kernels = [p for p in copy_of(network(preset)).parameters() if p.dim() == 4]
    assert kernels
    assert all(kernel.is_contiguous(memory_format=torch.channels_last) for kernel in kernels)
