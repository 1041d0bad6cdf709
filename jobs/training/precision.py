"""In which precision a machine learns fastest."""

import torch

from model.runtime import multiplies_bf16
from model.segmenter import Precision


def fastest_precision() -> Precision:
    """bf16 where the GPU or the processor has units for it, else fp32."""
    if torch.cuda.is_available():
        return "bf16" if torch.cuda.is_bf16_supported() else "fp32"
    return "bf16" if multiplies_bf16() else "fp32"
