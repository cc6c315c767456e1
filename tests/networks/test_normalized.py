import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tessella.errors import InputError
from tessella.networks.normalized import Normalized


class Echo(nn.Module):
    def forward(self, image: Tensor) -> Tensor:
        return image


def test_all_types_of_pictures_mean_the_same() -> None:
    network = Normalized(Echo(), [0.5, 0.2, 0.1], [0.1, 0.2, 0.3])
    byte = torch.randint(0, 256, (2, 3, 4, 5), dtype=torch.uint8)
    word = torch.from_numpy(byte.numpy().astype(np.uint16) * 257)
    torch.testing.assert_close(network(byte), network(byte.float() / 255))
    torch.testing.assert_close(network(byte), network(word))
    expected = (byte[0, 1, 2, 3].item() / 255 - 0.2) / 0.2
    assert network(byte)[0, 1, 2, 3].item() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("dtype", [torch.int64, torch.int16, torch.bool])
def test_types_without_a_scale(dtype: torch.dtype) -> None:
    with pytest.raises(InputError, match=f"the picture is {dtype}: give uint8, uint16 or floating point"):
        Normalized(Echo(), [0.0], [1.0])(torch.ones(1, 1, 2, 2, dtype=dtype))


def test_mean_and_deviation_travel_with_the_weights() -> None:
    saved = Normalized(nn.Conv2d(1, 2, 1), [0.3], [0.4]).state_dict()
    network = Normalized(nn.Conv2d(1, 2, 1), [0.0], [1.0])
    network.load_state_dict(saved)
    assert network.mean.item() == pytest.approx(0.3)


def test_auxiliary_logits_pass_through_where_there_are_any() -> None:
    plain = Normalized(Echo(), [0.0], [1.0])
    logits, auxiliary = plain.forward_with_auxiliary(torch.ones(1, 1, 2, 2))
    assert auxiliary == ()
    assert torch.equal(logits, torch.ones(1, 1, 2, 2))
    assert plain.backbone is None


def test_errors_name_the_numbers() -> None:
    with pytest.raises(InputError, match="takes images of 3 channels, this one has 1"):
        Normalized(Echo(), [0.0] * 3, [1.0] * 3)(torch.zeros(1, 1, 2, 2))
    with pytest.raises(InputError, match="one positive std for each mean"):
        Normalized(Echo(), [0.0], [0.0])
