"""Small problems that the dilation tests share."""

import pytest
import torch

SHAPES = [  # kernel, stride, padding, groups
    ((3, 3), (1, 1), (2, 2), 1),
    ((3, 3), (1, 1), (0, 5), 2),
    ((1, 3), (2, 3), (0, 1), 1),
    ((4, 2), (1, 2), (3, 0), 4),
    ((5, 3), (3, 1), (2, 2), 1),
]


def problem(kernel, groups, dtype=torch.float64, seed=0):
    """Image, weight and bias for a convolution of four channels into eight."""
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64).to(dtype)

    return draw(2, 4, 17, 19), draw(8, 4 // groups, *kernel), draw(8)


@pytest.fixture(params=["compiled", "plain"])
def form(request, monkeypatch):
    """Run the test with the code compiled for the processor, and with plain PyTorch."""
    monkeypatch.setattr("tessella.dilation.operator.HAS_NUMBA", request.param == "compiled")
