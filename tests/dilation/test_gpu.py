"""The kernels for GPUs against plain PyTorch: on a GPU, or a step at a time in Triton's interpreter."""

import os

import pytest
import torch
from tests.dilation.conftest import SHAPES, problem

from tessella.dilation.sampling import plain_sampled_conv2d, tap_offsets

CASES = [
    pytest.param("cuda", marks=pytest.mark.gpu),
    pytest.param(
        "cpu",
        marks=[
            pytest.mark.zoo,
            pytest.mark.skipif(not os.environ.get("TRITON_INTERPRET"), reason="set TRITON_INTERPRET=1"),
        ],
    ),
]


@pytest.fixture
def _exact_convolutions():
    convolutions = torch.backends.cudnn.conv
    before, convolutions.fp32_precision = convolutions.fp32_precision, "ieee"
    yield
    convolutions.fp32_precision = before


@pytest.mark.usefixtures("_exact_convolutions")
@pytest.mark.parametrize("device", CASES)
@pytest.mark.parametrize(
    ("room", "dtype", "shape"),
    [
        *((1 << 28, torch.float64, shape) for shape in SHAPES),
        (1 << 28, torch.bfloat16, SHAPES[0]),
        (1 << 13, torch.float32, SHAPES[1]),  # rows of one image at a time
        (1, torch.float32, SHAPES[4]),  # one row at a time
    ],
)
def test_equals_plain_pytorch(monkeypatch, device, room, dtype, shape):
    """Over images, rows and blocks; at integers beside fractions, and far outside the image."""
    gpu = pytest.importorskip("tessella.dilation.gpu")
    monkeypatch.setattr(gpu, "ROOM_BYTES", room)
    monkeypatch.setattr(gpu, "SAMPLED_BYTES", 64 * dtype.itemsize)
    monkeypatch.setattr(gpu, "SPREAD_PIXELS", 64)
    kernel, stride, padding, groups = shape
    image, weight, _ = (tensor.to(device, dtype) for tensor in problem(kernel, groups))
    image = image[..., :8, :9]
    factors = torch.tensor([1.0, 2.0, 3.21, 29.5], dtype=torch.promote_types(dtype, torch.float32))
    centre = tuple((k - 1) - p for k, p in zip(kernel, padding, strict=True))
    size = tuple(
        (n + 2 * p - 2 * (k - 1) - 1) // s + 1
        for n, p, k, s in zip(image.shape[2:], padding, kernel, stride, strict=True)
    )
    inputs = [tensor.requires_grad_() for tensor in (image, weight, factors.to(device))]
    plain = plain_sampled_conv2d(*inputs, centre, stride, size, groups)
    grad = torch.randn(plain.shape, generator=torch.Generator().manual_seed(1)).to(plain)
    expected = torch.autograd.grad(plain, inputs, grad)

    with torch.no_grad():
        offsets = [tap_offsets(k, middle, inputs[2]) for k, middle in zip(kernel, centre, strict=True)]
        output = torch.empty_like(plain)
        gpu.forward(image, weight, *offsets, list(stride), groups, output)
        found = gpu.backward(grad, image, weight, *offsets, list(stride), groups)
    tolerance = {torch.float64: 1e-12, torch.float32: 1e-5, torch.bfloat16: 2e-2}[dtype]
    for own, other in zip((output, *found), (plain, *expected), strict=True):
        assert own.shape == other.shape
        assert (own - other).norm() <= tolerance * other.norm() + tolerance


@pytest.mark.filterwarnings("ignore:invalid value encountered:RuntimeWarning")  # the interpreter's
@pytest.mark.parametrize("device", CASES)
def test_a_factor_that_is_nan_makes_the_output_nan(device):
    """It cannot be looked at without waiting; the loss tells, which stops training."""
    gpu = pytest.importorskip("tessella.dilation.gpu")
    image, weight, _ = (tensor.to(device) for tensor in problem((3, 3), 1, torch.float32))
    factors = torch.tensor([1.0, float("nan"), 2.0, 3.5], device=device)
    offsets = [tap_offsets(3, 1.0, factors)] * 2
    output = torch.zeros(2, 8, 15, 17, device=device)
    gpu.forward(image, weight, *offsets, [1, 1], 1, output)
    assert output.isnan().all()


@pytest.mark.gpu
def test_the_layer_on_a_gpu():
    """Compiled, under autocast, in channels last, the same to the bit whenever it runs."""
    from tessella.dilation import LearnableDilatedConv2d

    torch.manual_seed(0)
    layer = LearnableDilatedConv2d(16, 32, 3, padding=2, initial="uniform").cuda()
    image = torch.randn(3, 16, 33, 35, device="cuda").to(memory_format=torch.channels_last)

    def gradients(module):
        layer.zero_grad()
        with torch.autocast("cuda", torch.bfloat16):
            output = module(image)
        output.float().square().mean().backward()
        return [output, *(parameter.grad.clone() for parameter in layer.parameters())]

    first = gradients(layer)
    assert first[0].is_contiguous(memory_format=torch.channels_last)
    assert all(torch.equal(one, other) for one, other in zip(first, gradients(layer), strict=True))
    for one, other in zip(first, gradients(torch.compile(layer)), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-2, atol=1e-2)
