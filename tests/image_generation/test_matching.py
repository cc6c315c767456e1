"""Which branch learns which target, against the rules of section 5.2.2 taken literally."""

import numpy as np
import pytest
import torch
from scipy.optimize import linear_sum_assignment

from tessella.errors import InputError
from tessella.image_generation import match


def literal(costs, present):
    """The thesis's rules for one item: costs [branches, targets] to the branch of each target."""
    branches, targets = costs.shape
    found = [-1] * targets
    found[0] = min(range(branches), key=lambda branch: costs[branch][0])
    free = set(range(branches)) - {found[0]}
    unassigned = [target for target in range(1, targets) if present[target]]
    while unassigned:
        wishes = {}
        for target in unassigned:
            best = min(sorted(free), key=lambda branch: costs[branch][target])
            wishes.setdefault(best, []).append(target)
        for branch, wanting in wishes.items():
            winner = min(wanting, key=lambda target: costs[branch][target])
            found[winner] = branch
            free.remove(branch)
            unassigned.remove(winner)
    return found


def drawn(seed, batch, branches, targets):
    """Random costs in which some branches are better than others for all targets, so that targets compete."""
    random = np.random.default_rng(seed)
    costs = random.random((batch, branches, targets)) + 2 * random.random((batch, branches, 1))
    present = random.random((batch, targets)) < 0.7
    present[:, 0] = True
    return torch.from_numpy(costs.astype(np.float32)), torch.from_numpy(present)


SIZES = [(1, 1), (2, 1), (2, 2), (5, 3), (7, 7), (20, 7), (72, 7), (12, 12)]


@pytest.mark.parametrize(("branches", "targets"), SIZES)
def test_greedy_is_the_thesis(branches, targets):
    for seed in range(5):
        costs, present = drawn(seed, 8, branches, targets)
        wanted = [literal(c.numpy(), p.numpy()) for c, p in zip(costs, present, strict=True)]
        assert match(costs, present).tolist() == wanted


@pytest.mark.parametrize("assignment", ["greedy", "hungarian"])
@pytest.mark.parametrize(("branches", "targets"), SIZES)
def test_a_branch_for_each_target_that_there_is(branches, targets, assignment):
    costs, present = drawn(1, 16, branches, targets)
    found = match(costs, present, assignment)
    assert torch.equal(found >= 0, present)
    assert torch.equal(found[:, 0], costs[:, :, 0].argmin(1))
    for row in found.tolist():
        used = [branch for branch in row if branch >= 0]
        assert len(set(used)) == len(used)
        assert max(used) < branches


@pytest.mark.parametrize(("branches", "targets"), [(5, 3), (7, 7), (20, 7)])
def test_hungarian_is_scipys_and_never_dearer(branches, targets):
    costs, present = drawn(2, 40, branches, targets)

    def total(found):
        rows, columns = np.nonzero(found.numpy() >= 0)
        return np.bincount(rows, costs[rows, found[rows, columns], columns].numpy(), 40)

    greedy, cheapest = total(match(costs, present)), total(match(costs, present, "hungarian"))
    assert (cheapest <= greedy + 1e-5).all()
    assert (cheapest < greedy - 1e-3).any()
    for item in range(40):
        matrix, own = costs[item].numpy(), costs[item, :, 0].min().item()
        others = np.flatnonzero(present[item, 1:].numpy()) + 1
        left = np.delete(matrix, matrix[:, 0].argmin(), 0)[:, others]
        assert cheapest[item] == pytest.approx(own + left[linear_sum_assignment(left)].sum(), abs=1e-5)


def test_all_targets_are_present_by_default():
    costs, _ = drawn(3, 4, 6, 4)
    torch.testing.assert_close(match(costs), match(costs, torch.ones(4, 4, dtype=torch.bool)))


def test_equal_costs_still_part():
    found = match(torch.zeros(2, 5, 5))
    assert [sorted(row) for row in found.tolist()] == [[0, 1, 2, 3, 4]] * 2


def test_costs_stay_as_they_are():
    costs, present = drawn(4, 3, 5, 4)
    before = costs.clone()
    match(costs, present)
    match(costs, present, "hungarian")
    assert torch.equal(costs, before)


@pytest.mark.parametrize("assignment", ["greedy", "hungarian"])
@pytest.mark.parametrize("worth", [torch.inf, torch.nan])
def test_a_loss_that_broke_is_matched_too(worth, assignment):
    """So that training comes to its message about the loss."""
    costs = torch.rand(2, 4, 3)
    costs[0] = worth
    costs[1, :2, 1] = worth
    costs[1, 2:, 2] += 1  # so that target 2 wants none of the branches that target 1 can have
    found = match(costs, None, assignment)
    for row in found.tolist():
        assert len(set(row)) == 3
        assert min(row) >= 0
    assert found[1, 1] in (2, 3)


def test_half_precision():
    costs, present = drawn(5, 4, 6, 4)
    costs = costs.bfloat16()
    torch.testing.assert_close(match(costs, present), match(costs.float(), present))


def test_more_targets_than_branches():
    with pytest.raises(InputError, match="assignment best: give greedy or hungarian"):
        match(torch.rand(1, 3, 2), assignment="best")
    with pytest.raises(InputError, match="4 targets for 3 branches: give fewer neighbours, or more branches"):
        match(torch.rand(2, 3, 4))
