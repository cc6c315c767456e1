"""The convolution against torch's own, against loops over its definition, and against finite differences."""

import math

import pytest
import torch
from tests.dilation.conftest import SHAPES, problem
from torch.autograd import forward_ad, gradcheck, gradgradcheck
from torch.nn import functional as F

from tessella.dilation import LearnableDilatedConv2d, learnable_dilated_conv2d
from tessella.dilation.functional import clip
from tessella.errors import InputError

assert_close = torch.testing.assert_close


def naive(image, weight, bias, factors, stride, padding, dilation, groups):
    """Equation 4.2 with true bilinear sampling, one number after another."""

    def read(n, c, y, x):
        total = 0.0
        for row in (math.floor(y), math.floor(y) + 1):
            for column in (math.floor(x), math.floor(x) + 1):
                if 0 <= row < image.shape[2] and 0 <= column < image.shape[3]:
                    share = (1 - abs(y - row)) * (1 - abs(x - column))
                    total += share * float(image[n, c, row, column])
        return total

    kernel = weight.shape[2:]
    size = [
        (image.shape[2 + a] + 2 * padding[a] - dilation * (kernel[a] - 1) - 1) // stride[a] + 1
        for a in (0, 1)
    ]
    output = torch.empty(image.shape[0], weight.shape[0], *size, dtype=image.dtype)
    per_group, outputs = weight.shape[1], weight.shape[0] // groups
    centre = [dilation * (kernel[a] - 1) / 2 - padding[a] for a in (0, 1)]
    for n, o, y, x in torch.cartesian_prod(*map(torch.arange, output.shape)).tolist():
        total = float(bias[o])
        for k in range(per_group):
            c = (o // outputs) * per_group + k
            for i in range(kernel[0]):
                for j in range(kernel[1]):
                    at_y = stride[0] * y + centre[0] + (i - (kernel[0] - 1) / 2) * float(factors[c])
                    at_x = stride[1] * x + centre[1] + (j - (kernel[1] - 1) / 2) * float(factors[c])
                    total += float(weight[o, k, i, j]) * read(n, c, at_y, at_x)
        output[n, o, y, x] = total
    return output


def gradients(output, *inputs):
    generator = torch.Generator().manual_seed(1)
    grad = torch.randn(output.shape, generator=generator, dtype=torch.float64).to(output.dtype)
    return torch.autograd.grad(output, inputs, grad)


@pytest.mark.parametrize("dilation", [1, 2, 3])
@pytest.mark.parametrize(("kernel", "stride", "padding", "groups"), SHAPES)
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_equals_torch_at_integers(form, kernel, stride, padding, groups, dilation, memory_format):
    image, weight, bias = problem(kernel, groups)
    image = image.to(memory_format=memory_format)
    inputs = [tensor.requires_grad_() for tensor in (image, weight, bias)]
    factors = torch.full((4,), float(dilation), dtype=torch.float64)
    ours = learnable_dilated_conv2d(
        image, weight, bias, factors, stride=stride, padding=padding, dilation=dilation, groups=groups
    )
    theirs = F.conv2d(image, weight, bias, stride, padding, dilation, groups)
    assert_close(ours, theirs, rtol=1e-12, atol=1e-12)
    for own, other in zip(gradients(ours, *inputs), gradients(theirs, *inputs), strict=True):
        assert_close(own, other, rtol=1e-12, atol=1e-11)


@pytest.mark.parametrize("dilation", [1, 2])
@pytest.mark.parametrize("factor", [1.0, 3.0, 4.0])
def test_equals_torch_at_another_integer(form, dilation, factor):
    """The kernel grows about its centre: as a convolution with more padding (or less: a cropped image)."""
    image, weight, bias = problem((3, 5), 1)
    factors = torch.full((4,), factor, dtype=torch.float64)
    ours = learnable_dilated_conv2d(image, weight, bias, factors, padding=(4, 4), dilation=dilation)
    more = int(factor) - dilation
    grown = F.pad(image, (4 + 2 * more, 4 + 2 * more, 4 + more, 4 + more))
    assert_close(ours, F.conv2d(grown, weight, bias, dilation=int(factor)), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("kernel", "stride", "padding", "groups"), SHAPES)
def test_equals_loops_at_any_factor(form, kernel, stride, padding, groups):
    image, weight, bias = problem(kernel, groups)
    image = image[:1, :, :9, :10]
    factors = torch.tensor([1.0, 1.37, 2.5, 3.9], dtype=torch.float64)
    ours = learnable_dilated_conv2d(
        image, weight, bias, factors, stride=stride, padding=padding, dilation=2, groups=groups
    )
    assert_close(ours, naive(image, weight, bias, factors, stride, padding, 2, groups))


@pytest.mark.parametrize(("kernel", "stride", "padding", "groups"), SHAPES)
def test_gradients(form, kernel, stride, padding, groups):
    image, weight, bias = problem(kernel, groups)
    image = image[:, :, :9, :8]
    factors = torch.tensor([1.2, 2.71, 3.3, 7.45], dtype=torch.float64)
    inputs = [tensor.clone().requires_grad_() for tensor in (image, weight, bias, factors)]

    def convolve(*tensors):
        return learnable_dilated_conv2d(*tensors, stride=stride, padding=padding, dilation=2, groups=groups)

    assert gradcheck(convolve, inputs, eps=1e-5, atol=1e-6, fast_mode=True)


def test_gradient_at_integers_is_the_mean_of_both_sides(form):
    """Factors begin at kinks: the one-sided derivatives differ, even in sign."""
    image, weight, bias = problem((3, 3), 1)
    target = torch.randn(2, 8, 17, 19, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    step = 1e-6

    def loss(factors):
        output = learnable_dilated_conv2d(image, weight, bias, factors, padding=(2, 2), dilation=2)
        return (output * target).sum()

    factors = torch.tensor([2.0, 2.0, 1.0, 3.0], dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(loss(factors), factors)
    sides = []
    for c in range(4):
        move = step * F.one_hot(torch.tensor(c), 4)
        here, after, before = (float(loss(factors.detach() + move * sign)) for sign in (0, 1, -1))
        sides.append(((after - here) / step, (here - before) / step))
        assert float(gradient[c]) == pytest.approx(sum(sides[c]) / 2, rel=1e-4)
    assert any(after * before < 0 for after, before in sides)


def test_second_derivatives(form):
    image, weight, bias = (t[:1].clone().requires_grad_() for t in problem((3, 3), 1))
    image = image[:, :, :5, :5].detach().requires_grad_()
    factors = torch.tensor([1.2, 2.7, 3.3, 1.5], dtype=torch.float64, requires_grad=True)

    def convolve(*tensors):
        return learnable_dilated_conv2d(*tensors, padding=(2, 2), dilation=2)

    assert gradgradcheck(convolve, (image, weight, bias, factors), fast_mode=True)


FACTORS = torch.tensor([1.0, 1.37, 2.5, 3.9], dtype=torch.float64)  # the first is at a bound, and at a kink


@pytest.fixture
def small():
    """Images [2, 4, 7, 8], weights, and the function that the tests below transform."""
    image, weight, _ = problem((3, 3), 1)

    def loss(pixels, factors, dilation_range=(1, 4)):
        output = learnable_dilated_conv2d(
            pixels, weight, None, factors, padding=(2, 2), dilation=2, dilation_range=dilation_range
        )
        return output.sin().sum()

    return image[:, :, :7, :8].clone(), loss


def gradient_by_backward(loss, pixels, factors):
    factors = factors.clone().requires_grad_()
    return torch.autograd.grad(loss(pixels, factors), factors)[0]


def test_per_image_gradients_by_torch_func(form, small):
    images, loss = small
    each = torch.func.vmap(torch.func.grad(loss, argnums=1), (0, None))(images, FACTORS)
    for image, gradient in zip(images, each, strict=True):
        assert_close(gradient, gradient_by_backward(loss, image, FACTORS))


def test_vmap_over_factors(form, small):
    images, loss = small
    several = torch.stack([FACTORS, FACTORS.flip(0), FACTORS.clamp(max=2)])
    losses = torch.func.vmap(loss, (None, 0))(images, several)
    assert_close(losses, torch.stack([loss(images, factors) for factors in several]))


@pytest.mark.filterwarnings("ignore:.*torch.jit.script:DeprecationWarning")  # torch's own
def test_derivatives_in_forward_mode(form, small):
    """Not zeros, which an operator without a rule would give in silence."""
    images, loss = small
    pixels, inward = torch.randn_like(images), torch.tensor([1.0, -0.3, 0.7, 0.1], dtype=torch.float64)
    leaves = [tensor.clone().requires_grad_() for tensor in (images, FACTORS)]
    slopes = torch.autograd.grad(loss(*leaves, dilation_range=None), leaves)
    expected = (slopes[0] * pixels).sum() + (slopes[1] * inward).sum()
    _, tangent = torch.func.jvp(loss, (images, FACTORS), (pixels, inward))
    assert_close(tangent, expected)
    with forward_ad.dual_level():
        dual = loss(forward_ad.make_dual(images, pixels), forward_ad.make_dual(FACTORS, inward))
        assert_close(forward_ad.unpack_dual(dual).tangent, expected)
    outward = torch.tensor([-1.0, 0.0, 0.0, 0.0], dtype=torch.float64)
    assert torch.func.jvp(lambda factors: loss(images, factors), (FACTORS,), (outward,))[1] == 0


@pytest.mark.parametrize("groups", [1, 2, 4])
@pytest.mark.parametrize("block", [9, 27, 576])
@pytest.mark.parametrize("onednn", [True, False])
def test_forms_agree_in_single_precision(monkeypatch, groups, block, onednn):
    """Over several chunks of rows and of channels, far outside the image, and at integers beside fractions."""
    monkeypatch.setattr("tessella.dilation.operator.CHUNK_BYTES", 4096)
    monkeypatch.setattr("tessella.dilation.operator.BLOCK_TAPS", block)
    has_onednn = "tessella.dilation.operator._HAS_ONEDNN"
    monkeypatch.setattr(has_onednn, onednn and torch.backends.mkldnn.is_available())
    image, weight, bias = (t.requires_grad_() for t in problem((3, 3), groups, torch.float32))
    factors = torch.tensor([1.0, 2.0, 3.21, 29.5], requires_grad=True)
    results = []
    for compiled in (True, False):
        monkeypatch.setattr("tessella.dilation.operator.HAS_NUMBA", compiled)
        output = learnable_dilated_conv2d(
            image, weight, bias, factors, stride=(1, 2), padding=(2, 2), dilation=2, groups=groups
        )
        results.append((output, *gradients(output, image, weight, bias, factors)))
    for fast, plain in zip(*results, strict=True):
        assert_close(fast, plain, rtol=1e-4, atol=1e-4)


def test_inference_mode_in_threads(monkeypatch):
    """An output made there may only be written where the mode is on, and modes belong to a thread."""
    monkeypatch.setattr("tessella.dilation.operator.CHUNK_BYTES", 512)
    image, weight, bias = problem((3, 3), 1, torch.float32)
    expected = learnable_dilated_conv2d(image, weight, bias, FACTORS, padding=(2, 2), dilation=2)
    with torch.inference_mode():
        found = learnable_dilated_conv2d(image, weight, bias, FACTORS, padding=(2, 2), dilation=2)
    assert found.is_inference()
    assert_close(found, expected, rtol=0, atol=0)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_autocast(form, dtype):
    image, weight, bias = (t.requires_grad_() for t in problem((3, 3), 1, torch.float32))
    factors = torch.tensor([1.0, 1.37, 2.5, 3.9], requires_grad=True)

    def both():
        output = learnable_dilated_conv2d(image, weight, bias, factors, padding=(2, 2), dilation=2)
        return output, gradients(output.float(), image, weight, bias, factors)

    exact, exact_gradients = both()
    with torch.autocast("cpu", dtype):
        output, half_gradients = both()
    assert output.dtype == dtype
    assert_close(output.float(), exact, rtol=0.05, atol=0.1)
    for half, full in zip(half_gradients, exact_gradients, strict=True):
        assert half.dtype == torch.float32
        assert (half - full).norm() < 0.02 * full.norm()


def test_same_bytes_whatever_the_threads(monkeypatch):
    monkeypatch.setattr("tessella.dilation.operator.CHUNK_BYTES", 512)
    monkeypatch.setattr("tessella.dilation.operator.BLOCK_TAPS", 9)
    image, weight, bias = problem((3, 3), 1, torch.float32)
    factors = torch.tensor([1.0, 1.37, 2.5, 3.9], requires_grad=True)
    results, threads = [], torch.get_num_threads()
    try:
        for count in (1, 2):
            torch.set_num_threads(count)
            output = learnable_dilated_conv2d(image, weight, bias, factors, padding=(2, 2), dilation=2)
            results.append(torch.autograd.grad(output.square().sum(), factors)[0])
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(*results)


@pytest.mark.parametrize("shape", [(0, 4, 9, 9), (1, 4, 1, 1)])
def test_batches_of_none_and_images_of_one_pixel(form, shape):
    _, weight, bias = problem((3, 3), 1, torch.float32)
    image = torch.randn(*shape, requires_grad=True)
    factors = torch.tensor([1.0, 1.37, 2.5, 3.9], requires_grad=True)
    output = learnable_dilated_conv2d(image, weight, bias, factors, padding=(2, 2), dilation=2)
    assert output.shape == F.conv2d(image, weight, bias, padding=2, dilation=2).shape
    output.sum().backward()
    assert image.grad.shape == shape
    assert factors.grad.isfinite().all()


def test_not_contiguous(form):
    image, weight, bias = problem((3, 3), 1)
    factors = torch.tensor([1.0, 1.37, 2.5, 3.9], dtype=torch.float64)
    sliced, turned = image[:, :, ::2, 1::3], weight.transpose(2, 3)
    output = learnable_dilated_conv2d(sliced, turned, bias, factors)
    assert_close(output, learnable_dilated_conv2d(sliced.contiguous(), turned.contiguous(), bias, factors))


def test_keeps_the_memory_format():
    image, weight, bias = problem((3, 3), 1)
    factors = torch.ones(4, dtype=torch.float64)
    last = image.to(memory_format=torch.channels_last).requires_grad_()
    output = learnable_dilated_conv2d(last, weight, bias, factors)
    assert output.is_contiguous(memory_format=torch.channels_last)
    assert learnable_dilated_conv2d(image, weight, bias, factors).is_contiguous()
    assert gradients(output, last)[0].is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("groups", [1, 2])
def test_one_image_without_a_batch(form, groups):
    image, weight, bias = problem((3, 3), groups)
    inputs = [tensor.requires_grad_() for tensor in (image[0].clone(), weight, bias)]
    factors = torch.full((4,), 2.0, dtype=torch.float64)
    ours = learnable_dilated_conv2d(*inputs, factors, padding=(2, 2), dilation=2, groups=groups)
    theirs = F.conv2d(*inputs, padding=2, dilation=2, groups=groups)
    assert_close(ours, theirs, rtol=1e-12, atol=1e-12)
    for own, other in zip(gradients(ours, *inputs), gradients(theirs, *inputs), strict=True):
        assert_close(own, other, rtol=1e-12, atol=1e-11)


BAD_INPUTS = {
    r"image of 8 channels: weights \[6, 4, 3, 3\] in 1 groups take 4": {"image": torch.ones(1, 8, 9, 9)},
    r"image of 5 channels": {"image": torch.ones(5, 9, 9)},
    r"image of 8 channels: weights \[6, 2, 3, 3\] in 2 groups take 4": {
        "image": torch.ones(1, 8, 9, 9), "weight": torch.ones(6, 2, 3, 3), "groups": 2,
    },
    r"6 output channels in 4 groups": {"weight": torch.ones(6, 1, 3, 3), "groups": 4},
    r"image \[4, 9\] .* give an image \[channels, height, width\]": {"image": torch.ones(4, 9)},
    r"image \[1, 1, 4, 9, 9\]": {"image": torch.ones(1, 1, 4, 9, 9)},
    r"weights \[6, 4, 3\]": {"weight": torch.ones(6, 4, 3)},
    r"image \[1, 4, 9, 0\] .* give more than nothing": {"image": torch.ones(1, 4, 9, 0)},
    r"factors \[1\]: give one for each of 4": {"dilation_factors": torch.ones(1)},
    r"factors \[5\]: give one for each of 4": {"dilation_factors": torch.ones(5)},
    r"factors \[4, 1\]: give one for each of 4": {"dilation_factors": torch.ones(4, 1)},
    r"bias \[1\]: give one for each of 6": {"bias": torch.ones(1)},
    r"image of torch.float64 and weights of torch.float32": {"image": torch.ones(1, 4, 9, 9).double()},
    r"image of torch.int64, .* give floating-point numbers": {"image": torch.ones(1, 4, 9, 9).long()},
    r"factors of torch.int64": {"dilation_factors": torch.ones(4).long()},
}  # fmt: skip


@pytest.mark.parametrize("message", BAD_INPUTS)
def test_what_does_not_fit_is_refused(form, message):
    """What would be read beyond the end of its memory, above all."""
    given = {
        "image": torch.ones(1, 4, 9, 9),
        "weight": torch.ones(6, 4, 3, 3),
        "bias": None,
        "dilation_factors": torch.ones(4),
    }
    with pytest.raises(InputError, match=message):
        learnable_dilated_conv2d(**given | BAD_INPUTS[message])
    with torch.autocast("cpu", torch.bfloat16), pytest.raises(InputError, match=message):
        learnable_dilated_conv2d(**given | BAD_INPUTS[message])


@pytest.mark.parametrize("channels", [3, 5, 8])
def test_the_layer_refuses_images_of_other_channels(channels):
    layer = LearnableDilatedConv2d(4, 6, 3, padding=2)
    with pytest.raises(InputError, match=f"image of {channels} channels: .* take 4"):
        layer(torch.randn(1, channels, 9, 9))


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor:UserWarning")  # torch's own
def test_the_compiled_layer_refuses_them_too():
    layer = torch.compile(LearnableDilatedConv2d(4, 6, 3, padding=2), backend="aot_eager")
    with pytest.raises(InputError, match=r"image of 3 channels: .* take 4"):
        layer(torch.randn(1, 3, 9, 9))


def test_half_precision_factors():
    """As frameworks for several GPUs make of all parameters."""
    image, weight, bias = problem((3, 3), 1, torch.float32)
    factors = torch.tensor([1.0, 1.5, 2.5, 3.0], requires_grad=True)
    expected = learnable_dilated_conv2d(image, weight, bias, factors)
    output = learnable_dilated_conv2d(image, weight, bias, factors.bfloat16())
    assert_close(output, expected)
    assert_close(gradients(output, factors), gradients(expected, factors), rtol=1e-2, atol=1e-2)


def test_an_image_smaller_than_the_kernel():
    image, weight, bias = problem((3, 3), 1)
    with pytest.raises(ValueError, match=r"17x19 pixels .* smaller than a kernel 3x3 of dilation 9"):
        learnable_dilated_conv2d(image, weight, bias, torch.ones(4), dilation=9)


def test_clip_lets_through_what_leads_inwards():
    factors = torch.tensor([0.5, 1.0, 2.5, 4.0, 4.5], requires_grad=True)
    clipped = clip(factors, 1, 4)
    assert clipped.tolist() == [1, 1, 2.5, 4, 4]
    (gradient,) = torch.autograd.grad(clipped, factors, torch.ones(5), retain_graph=True)
    assert gradient.tolist() == [0, 0, 1, 1, 1]  # downhill is down: from the upper bound that leads inwards
    (gradient,) = torch.autograd.grad(clipped, factors, -torch.ones(5))
    assert gradient.tolist() == [-1, -1, -1, 0, 0]
