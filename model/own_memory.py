"""A better mask out of a guess: a picture is memorized with the guess and segmented from that memory alone.

What is wrong in the guess lies among pixels that look like others of the other side: what the network reads for them is
mostly of those, and what it finds is nearer to the object than the guess was. So that is the next guess, and again.

Legend: H, W picture; h, w network size.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from model.errors import translate_out_of_memory
from model.network import AFBURR
from model.runtime import flushed_denormals, repeatable

SIDE = 256
"""Pixels of the longer side that the network sees."""
ROUNDS = 4


@torch.inference_mode()
@flushed_denormals()
@repeatable()
def settled(
    network: AFBURR, picture: Tensor, guess_HW: Tensor, inside_HW: Tensor, *, side: int = SIDE, rounds: int = ROUNDS
) -> Tensor:
    """Probability [H, W] in [0, 1], on the CPU, that a pixel is of the object that `guess_HW` was meant to show.

    Args:
        network: in float32, on any device.
        picture: RGB uint8 [3, H, W], of the object and what is around it.
        guess_HW: bool or a probability.
        inside_HW: bool; everything outside is known to be no object.
        side: the network sees the picture with this longer side, whatever its size.
        rounds: how often it memorizes and segments.

    Raises:
        OutOfMemory: the device's memory did not suffice.
    """
    height, width = guess_HW.shape
    scale = side / max(height, width)
    size = (max(1, round(height * scale)), max(1, round(width * scale)))
    device = next(network.parameters()).device
    with translate_out_of_memory():
        seen, guess, inside = (
            _resized(x.to(device)[None].float(), size) for x in (picture / 255, guess_HW[None], inside_HW[None])
        )
        found = guess[0]
        for _ in range(rounds):
            memory = network.memorize(seen, torch.cat([1 - found, found])[None])
            found = torch.softmax(network.segment(seen, memory).logits[0], dim=0)[1:] * inside[0]
        return _resized(found[None], (height, width))[0, 0].cpu() * inside_HW.cpu()


def _resized(x_BCHW: Tensor, size: tuple[int, int]) -> Tensor:
    return F.interpolate(x_BCHW, size, mode="bilinear", antialias=True, align_corners=False)
