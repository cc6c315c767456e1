"""Generators by cascaded refinement: many images of a condition at once are those that each code makes alone."""

from math import ceil

import pytest
import torch
from torch.nn import functional as F
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.flop_counter import FlopCounterMode

from tessella.errors import InputError
from tessella.image_generation import LateSplit, Separate, Shared, Widths

TINY = Widths(trunk=(6, 8), path=4, last=5)
KINDS = [LateSplit, Separate, Shared]


def leaky(x):
    return F.leaky_relu(x, 0.2)


def reduced(conditions, stride):
    """Largest values, and most negative ones, of blocks; the last ones are cut off by the image's border."""
    height, width = (ceil(side / stride) for side in conditions.shape[-2:])
    result = torch.zeros(*conditions.shape[:2], height, width)
    for row in range(height):
        for column in range(width):
            block = conditions[
                :, :, row * stride : (row + 1) * stride, column * stride : (column + 1) * stride
            ]
            result[:, :, row, column] = block.amax((2, 3)).clamp(min=0) + block.amin((2, 3)).clamp(max=0)
    return result


def joined(x, condition):
    resized = F.interpolate(x, condition.shape[-2:], mode="bilinear", align_corners=False)
    return torch.cat([resized, condition], 1)


def naive_features(generator, conditions):
    """What enters the stage at half the resolution: every stage sees what came before and the condition at its size."""
    depth = len(generator.trunk)
    x = reduced(conditions, 2 ** (depth + 1))
    for number, (first, _, second, _) in enumerate(generator.trunk):
        if number:
            x = joined(x, reduced(conditions, 2 ** (depth + 1 - number)))
        x = leaky(second(leaky(first(x))))
    return joined(x, reduced(conditions, 2))


def naive_head(head, x, conditions, code=None, rate=0.0):
    """One image of each condition, by convolutions of plain concatenations."""
    path = leaky(head.first(x))
    if code is not None:
        path = path * (code[: len(path[0])] > rate)[:, None, None] / (1 - rate)
    path = leaky(head.second(path))
    if code is not None:
        path = path * (code[len(path[0]) :] > rate)[:, None, None] / (1 - rate)
    both = torch.cat([path, head.fixed(x)], 1)
    x = leaky(head.refined(leaky(head.joined(joined(both, conditions)))))
    return head.image(x)


def naive(generator, conditions):
    x = naive_features(generator, conditions)
    if isinstance(generator, Shared):
        images = [naive_head(generator.head, x, conditions, code, generator.rate) for code in generator.codes]
    elif isinstance(generator, Separate):
        images = [naive_head(head, x, conditions) for head in generator.heads]
    else:
        images = list(generator.image(generator.fine(joined(generator.coarse(x), conditions))).split(3, 1))
    return torch.stack(images, 1)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [(16, 16), (24, 40), (17, 31), (5, 9)])
def test_images_are_those_of_the_plain_network(kind, size):
    torch.manual_seed(0)
    generator = kind(2, branches=5, widths=TINY)
    conditions = torch.randn(3, 2, *size)
    images = generator(conditions, generator.training_codes)
    assert images.shape == (3, 5, 3, *size)
    torch.testing.assert_close(images, naive(generator, conditions), atol=1e-5, rtol=1e-4)
    assert images.std(1).min() > 0  # no two branches alike


@pytest.mark.parametrize("kind", KINDS)
def test_many_at_once_are_each_alone(kind):
    generator = kind(2, branches=4, widths=TINY)
    conditions = torch.randn(3, 2, 16, 24)
    encoded, codes = generator.encode(conditions), generator.training_codes
    items, which = torch.tensor([2, 0, 2, 1, 0]), torch.tensor([3, 1, 0, 3, 1])
    together = generator.decode(encoded, items, codes[which])
    for image, item, code in zip(together, items.tolist(), which.tolist(), strict=True):
        alone = generator(conditions[item : item + 1], codes[code : code + 1])
        torch.testing.assert_close(image, alone[0, 0], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_how_many_at_once_does_not_matter(kind):
    generator = kind(2, branches=4, widths=TINY)
    conditions = torch.randn(3, 2, 16, 16)
    images = [generator(conditions, generator.training_codes, at_once) for at_once in (1, 5, 64)]
    torch.testing.assert_close(images[0], images[2], atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(images[1], images[2], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_in_training_and_inference_and_in_memory_of_any_order(kind):
    generator = kind(2, branches=3, widths=TINY)
    conditions = torch.randn(2, 2, 16, 16)
    wanted = generator.train()(conditions, generator.training_codes)
    torch.testing.assert_close(generator.eval()(conditions, generator.training_codes), wanted, atol=0, rtol=0)
    transposed = conditions.transpose(2, 3).contiguous().transpose(2, 3)
    generator.to(memory_format=torch.channels_last)
    found = generator(transposed, generator.training_codes)
    torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_bf16_is_close(kind):
    torch.manual_seed(0)
    generator = kind(2, branches=3, widths=TINY)
    conditions = torch.randn(2, 2, 16, 16)
    wanted = generator(conditions, generator.training_codes)
    with torch.autocast("cpu", torch.bfloat16):
        found = generator(conditions, generator.training_codes)
    assert (found.float() - wanted).abs().max() < 0.03


def test_a_single_pixel_reaches_the_coarsest_stage():
    generator = Shared(1, branches=1, widths=TINY)
    with torch.no_grad():
        for parameter in generator.trunk.parameters():
            parameter.fill_(1)
    empty = torch.zeros(1, 1, 32, 32)
    mark = empty.clone()
    mark[0, 0, 21, 9] = 1
    seen = generator.trunk[0](reduced(mark, 8)) - generator.trunk[0](reduced(empty, 8))
    assert seen[0, 0, 2, 1] >= 1
    torch.testing.assert_close(generator.features(mark)[0], naive_features(generator, mark))


def test_authors_widths():
    """57 to 60 M parameters, most of them in the trunk; 270 M for 72 heads; a last layer more is next to nothing."""

    def count(kind, channels, branches):
        with torch.device("meta"):
            generator = kind(channels, branches=branches)
        return [sum(p.numel() for p in part.parameters()) / 1e6 for part in (generator, generator.trunk)]

    assert count(Shared, 3, 20) == [pytest.approx(57.0, abs=0.1), pytest.approx(54.4, abs=0.1)]
    assert count(Shared, 68, 10) == [pytest.approx(59.4, abs=0.1), pytest.approx(56.5, abs=0.1)]
    assert count(Shared, 68, 10) == count(Shared, 68, 72)
    assert count(Separate, 68, 72)[0] == pytest.approx(270, abs=1)
    more = count(LateSplit, 68, 72)[0] - count(LateSplit, 68, 1)[0]
    assert more == pytest.approx(71 * 3 * 257 / 1e6)  # 0.055


def test_twenty_images_cost_less_than_nine():
    """Without what is common to all codes it would be 11."""
    with torch.device("meta"):
        shared, single = Shared(3, branches=20), LateSplit(3, branches=1)
        conditions = torch.zeros(1, 3, 96, 96)
        costs = []
        for generator in (shared, single):
            with FlopCounterMode(display=False) as counter:
                generator(conditions, generator.training_codes)
            costs.append(counter.get_total_flops())
    assert 7 < costs[0] / costs[1] < 8.5


def test_element_wise_codes():
    torch.manual_seed(0)
    generator = Shared(2, branches=3, widths=TINY, element_size=(8, 12))
    assert generator.codes.shape == (3, 2 * TINY.path, 8, 12)
    conditions = torch.randn(1, 2, 16, 24)
    images = generator(conditions, generator.draw(5))
    x = naive_features(generator, conditions)
    head, (first, second) = generator.head, generator.codes[1].chunk(2)
    path = leaky(head.first(x)) * (first > 0.5) * 2
    path = leaky(head.second(path)) * (second > 0.5) * 2
    both = joined(torch.cat([path, head.fixed(x)], 1), conditions)
    wanted = head.image(leaky(head.refined(leaky(head.joined(both)))))
    torch.testing.assert_close(images[0, 1], wanted[0], atol=1e-5, rtol=1e-4)
    assert generator(torch.randn(1, 2, 17, 31), generator.training_codes).shape[-2:] == (17, 31)


def test_training_codes_are_kept():
    generator, other = (Shared(2, branches=3, widths=TINY) for _ in range(2))
    assert not torch.equal(generator.training_codes, other.training_codes)
    other.load_state_dict(generator.state_dict())
    assert torch.equal(generator.training_codes, other.training_codes)
    conditions = torch.randn(1, 2, 16, 16)
    torch.testing.assert_close(
        generator(conditions, generator.draw(3)), other(conditions, other.draw(3)), atol=0, rtol=0
    )
    assert generator.codes.min() >= 0
    assert generator.codes.max() <= 1
    assert len(generator.codes.unique()) == generator.codes.numel()  # real values, not yet a threshold's


def test_draws_begin_with_training_codes_and_follow_the_seed():
    generator = Shared(2, branches=3, widths=TINY)

    def draw(number, seed):
        return generator.draw(number, torch.Generator().manual_seed(seed))

    assert torch.equal(draw(2, 0), generator.training_codes[:2])
    assert torch.equal(draw(7, 0)[:3], generator.training_codes)
    assert torch.equal(draw(7, 0), draw(7, 0))
    assert torch.equal(draw(9, 0)[:7], draw(7, 0))  # more codes are the same and further ones
    assert not torch.equal(draw(7, 0), draw(7, 1))
    new = generator.draw(5000, torch.Generator().manual_seed(0))[3:]
    assert new.mean().item() == pytest.approx(0.5, abs=0.01)
    assert new.var().item() == pytest.approx(1 / 12, abs=0.005)


@pytest.mark.parametrize("kind", [LateSplit, Separate])
def test_fixed_branches_are_all_there_is(kind):
    generator = kind(2, branches=3, widths=TINY)
    assert generator.draw(2).tolist() == [0, 1]
    with pytest.raises(InputError, match=f"4 codes: {kind.__name__} makes 3 images of a condition"):
        generator.draw(4)


@pytest.mark.parametrize("kind", KINDS)
def test_averages_of_weights_leave_branches_as_they_are(kind):
    """Whole numbers would be cut off on the way: branch 11 would become branch 10."""
    generator = kind(2, branches=20, widths=TINY)
    average = AveragedModel(generator, multi_avg_fn=get_ema_multi_avg_fn(0.9), use_buffers=True)
    for _ in range(10):
        average.update_parameters(generator)
    assert torch.equal(average.module.training_codes, generator.training_codes)


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_reach_all_parameters(kind):
    torch.manual_seed(0)
    generator = kind(2, branches=8, widths=TINY)
    generator(torch.randn(2, 2, 16, 16), generator.training_codes).square().sum().backward()
    for name, parameter in generator.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


def test_a_branch_alone_trains_its_own_head():
    generator = Separate(2, branches=3, widths=TINY)
    generator(torch.randn(2, 2, 16, 16), torch.tensor([1])).sum().backward()
    assert [head.image.weight.grad is not None for head in generator.heads] == [False, True, False]


@pytest.mark.parametrize("kind", KINDS)
def test_unusable_input(kind):
    with pytest.raises(InputError, match="branches is 0: give at least 1"):
        kind(2, branches=0, widths=TINY)
    with pytest.raises(InputError, match="widths have no trunk"):
        kind(2, widths=Widths(trunk=()))
    generator = kind(2, branches=2, widths=TINY)
    with pytest.raises(InputError, match="the generator takes \\[B, 2, H, W\\]"):
        generator.encode(torch.randn(1, 3, 16, 16))


@pytest.mark.parametrize("kind", KINDS)
def test_shapes_that_make_no_generator(kind):
    for widths in (Widths((6, 0), 4, 5), Widths((6, 8), 0, 5), Widths((6, 8), 4, -1)):
        with pytest.raises(InputError, match="give at least 1 of each"):
            kind(2, widths=widths)
    with pytest.raises(InputError, match="0 channels of the condition"):
        kind(0, widths=TINY)
    with pytest.raises(InputError, match=r"shape \[2, 16, 16\], the generator takes \[B, 2, H, W\]"):
        kind(2, branches=2, widths=TINY).encode(torch.randn(2, 16, 16))


@pytest.mark.parametrize("size", [(0, 3), (8, -1), (8,)])
def test_codes_for_no_place(size):
    with pytest.raises(InputError, match="element_size is"):
        Shared(2, widths=TINY, element_size=size)


@pytest.mark.parametrize("kind", [LateSplit, Separate])
@pytest.mark.parametrize("codes", [[3], [-1], [0, 7], [0.5], [[1]], []])
def test_codes_that_are_no_branches(kind, codes):
    """A negative one would be a branch counted from the end, without a word."""
    generator = kind(2, branches=3, widths=TINY)
    with pytest.raises(InputError, match=f"codes are .*{kind.__name__} (takes numbers of|has the) branches"):
        generator(torch.randn(1, 2, 16, 16), torch.tensor(codes))


@pytest.mark.parametrize("kind", KINDS)
def test_less_than_one_code(kind):
    for number in (0, -1):
        with pytest.raises(InputError, match=f"{number} codes: give at least 1"):
            kind(2, branches=3, widths=TINY).draw(number)


def test_codes_that_are_not_finite():
    generator = Shared(2, branches=2, widths=TINY)
    for codes in (torch.full((1, 8), torch.nan), torch.rand(0, 8)):
        with pytest.raises(InputError, match="no numbers, or some that are not finite"):
            generator(torch.randn(1, 2, 16, 16), codes)


@pytest.mark.parametrize("rate", [0.0, 1.0, 1.2, -1.0])
def test_rates_outside(rate):
    with pytest.raises(InputError, match=f"rate is {rate}"):
        Shared(2, rate=rate, widths=TINY)


def test_codes_of_another_width():
    generator = Shared(2, branches=2, widths=TINY)
    for shape in ((1, 7), (1, 8, 8, 8), (1, 2, 4)):
        with pytest.raises(InputError, match=r"the code has the shape .*, the generator takes \(8,\)"):
            generator(torch.randn(1, 2, 16, 16), torch.rand(shape))
