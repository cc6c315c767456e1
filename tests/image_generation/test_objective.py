"""Best-neighbour and neighbours enhanced loss against loops over equations 5.4 and 5.5."""

import pytest
import torch

from tessella.errors import InputError
from tessella.image_generation import (
    LateSplit,
    NeighboursLoss,
    PerceptualDistance,
    Separate,
    Shared,
    VGGFeatures,
    Widths,
    match,
)
from tessella.image_generation.judges import small_vgg

TINY = Widths(trunk=(6, 8), path=4, last=5)
KINDS = [LateSplit, Separate, Shared]


@pytest.fixture
def loss():
    torch.manual_seed(1)
    return NeighboursLoss(PerceptualDistance(VGGFeatures(small_vgg(2))), at_once=5)


def batch(items=3, targets=3, size=(16, 16)):
    generator = torch.Generator().manual_seed(7)
    conditions = torch.randn(items, 2, *size, generator=generator)
    images = torch.rand(items, targets, 3, *size, generator=generator)
    present = torch.ones(items, targets, dtype=torch.bool)
    present[0, -1] = targets == 1
    return conditions, images, present


def naive(loss, generator, conditions, targets, present):
    """All branches' images with gradients, one at a time."""
    total = torch.zeros(())
    for item in range(len(conditions)):
        images = [
            generator(conditions[item : item + 1], code[None])[0, 0] for code in generator.training_codes
        ]
        costs = torch.stack(
            [
                torch.stack([loss.distance(image[None], target[None])[0] for target in targets[item]])
                for image in images
            ]
        )
        found = match(costs[None], present[item][None], loss.assignment)[0]
        for target, branch in enumerate(found.tolist()):
            if branch >= 0:
                total = total + costs[branch, target]
    return total / len(conditions)


def gradients(generator, value):
    generator.zero_grad(set_to_none=True)
    value.backward()
    return {
        name: torch.zeros_like(p) if p.grad is None else p.grad for name, p in generator.named_parameters()
    }


@pytest.mark.parametrize("assignment", ["greedy", "hungarian"])
@pytest.mark.parametrize("kind", KINDS)
def test_loss_and_gradients_are_those_of_all_branches(loss, kind, assignment):
    torch.manual_seed(0)
    generator = kind(2, branches=5, widths=TINY)
    loss.assignment = assignment
    found, wanted = loss(generator, *batch()), naive(loss, generator, *batch())
    torch.testing.assert_close(found, wanted)
    of_wanted = gradients(generator, wanted)
    for name, gradient in gradients(generator, found).items():
        torch.testing.assert_close(gradient, of_wanted[name], atol=1e-5, rtol=1e-3, msg=name)


@pytest.mark.parametrize("kind", KINDS)
def test_costs_are_distances_of_every_branch_to_every_target(loss, kind):
    generator = kind(2, branches=4, widths=TINY)
    conditions, targets, _ = batch()
    found = loss.costs(generator, generator.encode(conditions), targets)
    assert not found.requires_grad
    images = generator(conditions, generator.training_codes)
    for item in range(3):
        for branch in range(4):
            for target in range(3):
                wanted = loss.distance(images[item, branch][None], targets[item, target][None])[0]
                torch.testing.assert_close(found[item, branch, target], wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_one_target_is_the_best_branchs(loss, kind):
    """Equation 5.4, in the mean over the batch."""
    generator = kind(2, branches=6, widths=TINY)
    conditions, targets, present = batch(targets=1)
    images = generator(conditions, generator.training_codes)
    least = [
        min(loss.distance(image[None], target).item() for image in row)
        for row, target in zip(images, targets, strict=True)
    ]
    assert loss(generator, conditions, targets, present).item() == pytest.approx(
        sum(least) / len(least), rel=1e-4
    )


def heads_with_gradient(generator):
    return [
        number
        for number, head in enumerate(generator.heads)
        if head.image.weight.grad is not None and head.image.weight.grad.abs().sum() > 0
    ]


def test_only_chosen_branches_learn(loss):
    generator = Separate(2, branches=6, widths=TINY)
    conditions, targets, present = batch(items=1, targets=3)
    present[:] = True
    costs = loss.costs(generator, generator.encode(conditions), targets)
    loss(generator, conditions, targets, present).backward()
    assert heads_with_gradient(generator) == sorted(match(costs)[0].tolist())


@pytest.mark.parametrize("branch", [0, 3])
def test_a_forced_branch(loss, branch):
    """It learns the item's own target, and nothing else is learned."""
    generator = Separate(2, branches=4, widths=TINY)
    conditions, targets, present = batch()
    value = loss(generator, conditions, targets, present, branch)
    images = generator(conditions, torch.tensor([branch]))[:, 0]
    torch.testing.assert_close(value, loss.distance(images, targets[:, 0]).mean(), rtol=1e-4, atol=1e-5)
    value.backward()
    assert heads_with_gradient(generator) == [branch]


@pytest.mark.parametrize("kind", KINDS)
def test_a_single_branch(loss, kind):
    generator = kind(2, branches=1, widths=TINY)
    conditions, targets, present = batch(targets=1)
    forced, best = (loss(generator, conditions, targets, present, branch) for branch in (0, None))
    torch.testing.assert_close(forced, best)


def test_absent_targets_count_for_nothing(loss):
    generator = Shared(2, branches=4, widths=TINY)
    conditions, targets, present = batch(items=2)
    present[:, 1:] = False
    alone = loss(generator, conditions, targets[:, :1], present[:, :1])
    torch.testing.assert_close(loss(generator, conditions, targets, present), alone)


@pytest.mark.parametrize("size", [(17, 31), (20, 16)])
def test_odd_sizes_and_views(loss, size):
    generator = Shared(2, branches=4, widths=TINY)
    conditions, targets, present = batch(size=size)
    wanted = naive(loss, generator, conditions, targets, present)
    view = targets.movedim(2, -1).contiguous().movedim(-1, 2)
    torch.testing.assert_close(loss(generator, conditions, view, present), wanted)


def test_all_of_a_generator_learns_in_bf16(loss):
    """The search for the best branch runs without gradients, and must not leave its weights to what follows."""
    torch.manual_seed(0)
    generator = Shared(2, branches=5, widths=TINY)
    conditions, targets, present = batch()
    plain = gradients(generator, loss(generator, conditions, targets, present))
    with torch.autocast("cpu", torch.bfloat16):
        value = loss(generator, conditions, targets, present)
    for name, gradient in gradients(generator, value).items():
        alike = torch.cosine_similarity(gradient.flatten(), plain[name].flatten(), dim=0)
        assert alike > 0.9, name


def test_memory_does_not_grow_with_branches(loss):
    """What is kept for the backward pass is that of the chosen images."""

    def kept(branches):
        generator = Shared(2, branches=branches, widths=TINY)
        sizes = []
        with torch.autograd.graph.saved_tensors_hooks(lambda t: sizes.append(t.numel()) or t, lambda t: t):
            loss(generator, *batch())
        return sum(sizes)

    assert kept(40) == kept(5)


def test_more_targets_than_branches(loss):
    generator = Shared(2, branches=2, widths=TINY)
    with pytest.raises(InputError, match="3 targets for 2 branches"):
        loss(generator, *batch())
