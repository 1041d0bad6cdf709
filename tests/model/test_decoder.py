"""Legend: B batch, K channels (background + objects), V value width, h w at 1/16."""

from dataclasses import dataclass, replace

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from model.decoder import Decoder, DecoderWidths, Refine, Residual
from model.place import HINT_CHANNELS
from model.trunk import Features

CHANNELS = (16, 24, 40, 112)
VALUE = 12
SIZE_16 = (2, 3)


@dataclass(frozen=True, kw_only=True)
class Case:
    """A decoder and what one call gets."""

    decoder: Decoder
    readout: Tensor
    value: Tensor
    features: Features

    def logits(self, *, refine: bool = True, chunk: int | None = None) -> Tensor:
        with torch.inference_mode():
            logits: Tensor = self.decoder(self.readout, self.value, self.features, refine=refine, chunk=chunk)
        return logits


def case(*, channels: int = 4, batch: int = 2, narrow: int = 8, seed: int = 0) -> Case:
    torch.manual_seed(seed)
    decoder = Decoder(CHANNELS, VALUE, DecoderWidths(wide=16, narrow=narrow, local=8)).eval()
    with torch.no_grad():
        # Freshly initialised outputs are almost flat; steeper ones tell the objects apart.
        decoder.pred.weight *= 6
        decoder.local_pred.weight *= 6
    h, w = SIZE_16
    maps = [torch.randn(batch, c, h * s, w * s) for c, s in zip(CHANNELS, (8, 4, 2, 1), strict=True)]
    return Case(
        decoder=decoder,
        readout=2 * torch.randn(batch, channels, VALUE, h, w),
        value=torch.randn(batch, VALUE, h, w),
        features=Features(*maps),
    )


def assert_agree(first: Tensor, second: Tensor) -> None:
    """Equal as probabilities: a logit of 12 stands for 1 - 6e-6, where float32 has few digits left."""
    torch.testing.assert_close(first.sigmoid(), second.sigmoid(), atol=1e-5, rtol=0)
    torch.testing.assert_close(first.softmax(dim=-3), second.softmax(dim=-3), atol=1e-5, rtol=0)


def up2(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)


def residual(block: Residual, x: Tensor) -> Tensor:
    changed: Tensor = block.conv2(F.relu(block.conv1(F.relu(x))))
    return x + changed


def refined(block: Refine, feature: Tensor, coarse: Tensor) -> Tensor:
    return residual(block.res_mm, residual(block.res_fs, block.conv_fs(feature)) + up2(coarse))


def mean7(x: Tensor) -> Tensor:
    return F.avg_pool2d(x, 7, 1, 3, count_include_pad=True)


def as_published(case: Case, *, refine: bool) -> Tensor:
    """The paper's decoder, one picture and one object at a time with whole convolutions: [B, K, 16 h, 16 w]."""
    d = case.decoder
    pictures = []
    for b in range(len(case.readout)):
        r1, r2, r3, _ = (feature[b : b + 1] for feature in case.features)
        maps = []
        for readout in case.readout[b]:
            p = residual(d.res_mm, d.conv_fm(torch.cat([readout[None], case.value[b : b + 1]], dim=1)))
            p = refined(d.refine2, r2, d.narrow(refined(d.refine3, r3, p)))
            maps.append(up2(d.pred(F.relu(p)))[0])
        stacked = torch.stack(maps)
        if refine:
            stacked = stacked + local_correction(d, stacked, r1)
        p = up2(stacked).softmax(dim=1)[:, 1].clamp(1e-7, 1 - 1e-7)
        pictures.append(torch.log(p / (1 - p)))
    return torch.stack(pictures)


def local_correction(d: Decoder, maps_K2YX: Tensor, r1: Tensor) -> Tensor:
    rough = maps_K2YX.softmax(dim=1)[:, 1].softmax(dim=0)
    top = rough.topk(2, dim=0).values
    u = torch.exp(1 - top[0] / (top[1] + 1e-8))
    corrections = []
    for mask in rough[:, None, None]:
        local = mean7(r1 * mask) / (mean7(mask) + 1e-8)
        x = d.local_pred(F.relu(residual(d.local_res, d.local_conv(torch.cat([r1, local], dim=1)))))
        corrections.append(u * F.max_pool2d(mask, 7, 1, 3) * x)
    return torch.cat(corrections)


@pytest.mark.parametrize("refine", [True, False])
@pytest.mark.parametrize("narrow", [8, 16])
def test_equals_the_paper_s_decoder_with_whole_convolutions(refine: bool, narrow: int) -> None:
    made = case(narrow=narrow)
    with torch.inference_mode():
        expected = as_published(made, refine=refine)
    assert_agree(made.logits(refine=refine), expected)
    assert made.logits(refine=refine).std() > 0.3  # the comparison is not about constants


def test_logits_have_the_picture_s_size_and_type() -> None:
    logits = case(channels=3, batch=2).logits()
    assert logits.shape == (2, 3, 16 * SIZE_16[0], 16 * SIZE_16[1])
    assert logits.dtype == torch.float32
    assert logits.isfinite().all()


@pytest.mark.parametrize("refine", [True, False])
@pytest.mark.parametrize("chunk", [1, 3])
def test_chunks_agree_with_all_at_once(refine: bool, chunk: int) -> None:
    made = case(channels=5)
    assert_agree(made.logits(refine=refine, chunk=chunk), made.logits(refine=refine))


def with_hints(made: Case, *, chunk: int | None = None, hint: Tensor | None = None) -> Tensor:
    with torch.inference_mode():
        logits: Tensor = made.decoder(made.readout, made.value, made.features, hint_BKCyx=hint, chunk=chunk)
    return logits


def place_case(*, silent: bool = False) -> tuple[Case, Tensor]:
    """A decoder that takes hints, and one hint for each of its channels."""
    torch.manual_seed(0)
    plain = case()
    decoder = Decoder(CHANNELS, VALUE, DecoderWidths(wide=16, narrow=8, local=8, place=True)).eval()
    decoder.load_state_dict(plain.decoder.state_dict(), strict=False)
    assert decoder.place is not None
    if not silent:
        torch.nn.init.normal_(decoder.place.weight, std=0.2)
    hint = torch.rand(*plain.readout.shape[:2], HINT_CHANNELS, 2 * SIZE_16[0], 2 * SIZE_16[1])
    return replace(plain, decoder=decoder), hint


def test_a_layer_for_hints_that_has_learnt_nothing_changes_no_bit() -> None:
    made, hint = place_case(silent=True)
    torch.testing.assert_close(with_hints(made, hint=hint), case().logits(), atol=0, rtol=0)


def test_a_channel_without_a_hint_is_decoded_as_without_the_layer() -> None:
    """Its neighbours are told something; what they say reaches it through the softmaxes over channels alone."""
    made, hint = place_case()
    torch.testing.assert_close(with_hints(made, hint=0 * hint), case().logits(), atol=0, rtol=0)
    torch.testing.assert_close(with_hints(made), case().logits(), atol=0, rtol=0)
    coarse = made.logits(refine=False)
    with torch.inference_mode():
        hint[:, 1] = 0
        found = made.decoder(made.readout, made.value, made.features, hint_BKCyx=hint, refine=False)
    torch.testing.assert_close(found[:, 1], coarse[:, 1], atol=0, rtol=0)
    assert float((found[:, 2] - coarse[:, 2]).abs().max()) > 0.01


@pytest.mark.parametrize("chunk", [1, 3])
def test_chunks_with_hints_agree_with_all_at_once(chunk: int) -> None:
    made, hint = place_case()
    assert_agree(with_hints(made, hint=hint, chunk=chunk), with_hints(made, hint=hint))


def calls_of_skip_layers(made: Case, chunk: int | None) -> list[int]:
    layers = [made.decoder.refine2.conv_fs, made.decoder.refine2.res_fs]
    layers += [made.decoder.refine3.conv_fs, made.decoder.refine3.res_fs]
    calls = [0] * len(layers)

    def counter(number: int) -> object:
        def hook(*_: object) -> None:
            calls[number] += len(made.readout)

        return hook

    handles = [layer.register_forward_hook(counter(n)) for n, layer in enumerate(layers)]  # type: ignore[arg-type]
    made.logits(chunk=chunk)
    for handle in handles:
        handle.remove()
    return calls


@pytest.mark.parametrize(("channels", "chunk"), [(2, None), (5, None), (5, 1), (5, 3)])
def test_skip_layers_run_once_a_frame_whatever_the_objects(channels: int, chunk: int | None) -> None:
    assert calls_of_skip_layers(case(channels=channels, batch=1), chunk) == [1, 1, 1, 1]


def flops(made: Case, chunk: int | None = None) -> int:
    counter = FlopCounterMode(display=False)
    with counter:
        made.logits(chunk=chunk)
    return counter.get_total_flops()


def convolution_flops(conv: nn.Conv2d, inputs: int, stride: int) -> int:
    pixels = (16 // stride) ** 2 * SIZE_16[0] * SIZE_16[1]
    return 2 * 9 * inputs * conv.out_channels * pixels


def test_what_depends_on_the_frame_alone_is_computed_once() -> None:
    one, two, three = (flops(case(channels=k, batch=1)) for k in (2, 3, 4))
    per_object = two - one
    assert three - two == per_object
    d = case().decoder
    per_frame = convolution_flops(d.conv_fm, VALUE, 16) + convolution_flops(d.local_conv, CHANNELS[0], 2)
    for refine, stride in ((d.refine3, 8), (d.refine2, 4)):
        convolutions = (refine.conv_fs, refine.res_fs.conv1, refine.res_fs.conv2)
        per_frame += sum(convolution_flops(conv, conv.in_channels, stride) for conv in convolutions)
    assert one - 2 * per_object == per_frame


def test_chunks_cost_nothing_extra() -> None:
    made = case(channels=4, batch=1)
    assert flops(made, chunk=1) == flops(made)


def test_a_silent_local_branch_changes_nothing() -> None:
    made = case()
    with torch.no_grad():
        made.decoder.local_pred.weight.zero_()
        nn.init.zeros_(made.decoder.local_pred.bias)  # type: ignore[arg-type]
    assert torch.equal(made.logits(refine=True), made.logits(refine=False))


def with_constant_correction(made: Case, background_pull: float) -> Case:
    """The local branch says the same everywhere, so what differs comes from U and from the mask's nearness alone."""
    with torch.no_grad():
        made.decoder.pred.weight *= 10  # sure here, unsure there
        made.decoder.local_pred.weight.zero_()
        made.decoder.local_pred.bias.copy_(torch.tensor([-background_pull, background_pull]))  # type: ignore[union-attr]
    return made


def ambiguity_without_refinement(made: Case) -> Tensor:
    rough = made.logits(refine=False).sigmoid().softmax(dim=1)
    top = rough.topk(2, dim=1).values
    return torch.exp(1 - top[:, 0] / top[:, 1])


def test_refinement_weighs_more_where_the_coarse_masks_are_ambiguous() -> None:
    made = with_constant_correction(case(channels=2, batch=1), 0.5)
    change = (made.logits(refine=True) - made.logits(refine=False))[0].abs()
    u = ambiguity_without_refinement(made)[0]
    # The logit is the difference of the two maps, so it moves by U times the largest rough probability nearby.
    assert change.amax(0)[u > 0.9].mean() > 1.5 * change.amax(0)[u < 0.4].mean()


def test_each_picture_of_a_batch_is_decoded_alone() -> None:
    made = case(batch=2)
    for b in range(2):
        single = Case(
            decoder=made.decoder,
            readout=made.readout[b : b + 1],
            value=made.value[b : b + 1],
            features=Features(*(feature[b : b + 1] for feature in made.features)),
        )
        assert_agree(single.logits()[0], made.logits()[b])


def test_autocast_keeps_the_logits_in_float32() -> None:
    made = case(channels=3, batch=1)
    exact = made.logits()
    with torch.autocast("cpu", torch.bfloat16):
        rounded = made.logits()
    assert rounded.dtype == torch.float32
    assert (rounded.softmax(1) - exact.softmax(1)).abs().mean() < 0.02
