import pytest
import torch

from model.averaging import averaged
from model.network import AFBURR, untrained

ONE, TWO = untrained(seed=1), untrained(seed=2)


def values(network: AFBURR) -> torch.Tensor:
    return torch.cat([value.flatten() for value in network.state_dict().values()])


@pytest.mark.parametrize("shares", [(3.0, 1.0), (0.75, 0.25)])
def test_each_counts_by_its_share(shares: tuple[float, float]) -> None:
    torch.testing.assert_close(values(averaged([ONE, TWO], shares)), 0.75 * values(ONE) + 0.25 * values(TWO))


def test_the_mean_of_one_is_itself_and_what_it_was_made_of_stays() -> None:
    before = values(ONE).clone()
    assert torch.equal(values(averaged([ONE], [2.0])), before)
    averaged([ONE, TWO], [1.0, 1.0])
    assert torch.equal(values(ONE), before)


def test_the_order_does_not_matter() -> None:
    assert torch.equal(values(averaged([ONE, TWO], [0.3, 0.7])), values(averaged([TWO, ONE], [0.7, 0.3])))


@pytest.mark.parametrize("shares", [(-1.0, 2.0), (0.0, 0.0)])
def test_shares_that_make_no_mean_are_refused(shares: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="shares must be positive"):
        averaged([ONE, TWO], shares)


def test_different_networks_have_no_mean() -> None:
    with pytest.raises(ValueError, match="only alike networks have a mean, not lite0, resnet50"):
        averaged([ONE, untrained("resnet50")], [1.0, 1.0])


def test_who_reads_nothing_nearby_adds_nothing_to_how_much_it_counts() -> None:
    without = untrained("lite0", seed=2)
    without.nearness = None
    mean = averaged([ONE, without], [1.0, 3.0])
    assert mean.nearness is not None
    assert ONE.nearness is not None
    torch.testing.assert_close(mean.nearness, ONE.nearness / 4)
    assert not averaged([without, without], [1.0, 1.0]).reads_nearby
