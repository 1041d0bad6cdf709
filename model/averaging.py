"""Means of weights: networks that went apart from one start are often better together than each alone."""

from collections.abc import Sequence

import torch

from model.network import AFBURR


def averaged(networks: Sequence[AFBURR], shares: Sequence[float]) -> AFBURR:
    """The mean of some networks, weighted by their shares, which need not add up to 1.

    What one of them does not have, as weights from before it, is nothing in the mean.

    Raises ValueError for networks of different presets, and for shares that are negative or all zero.
    """
    if len({network.preset for network in networks}) != 1:
        raise ValueError(f"only alike networks have a mean, not {', '.join(network.preset for network in networks)}")
    if min(shares) < 0 or sum(shares) <= 0:
        raise ValueError(f"shares must be positive, not {', '.join(f'{share:g}' for share in shares)}")
    states = [network.state_dict() for network in networks]
    mean = AFBURR(networks[0].preset)
    if not any(network.reads_nearby for network in networks):
        mean.nearness = None
    for name, value in mean.state_dict().items():
        if value.is_floating_point():
            # In double precision, so that the order of the networks does not matter.
            parts = [share * state[name].double() for share, state in zip(shares, states, strict=True) if name in state]
            value.copy_(torch.stack(parts).sum(dim=0) / sum(shares))
        else:
            value.copy_(states[0][name])
    return mean.eval()
