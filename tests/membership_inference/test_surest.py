"""By hand."""

import numpy as np
import pytest

from tessella.membership_inference.statistics import proportion
from tessella.membership_inference.surest import moved_by_training, surest


def test_the_highest_members_come_first_with_what_calling_them_costs():
    members = np.array([0.2, np.nan, 0.9, 0.5, 0.5])
    nonmembers = np.array([0.1, 0.5, 0.6, np.nan, 0.0])
    found = surest(members, nonmembers, count=3)
    assert [(image.place, image.score) for image in found] == [(2, 0.9), (3, 0.5), (4, 0.5)]
    assert [image.false_positive_rate for image in found] == [proportion(false, 4) for false in (0, 2, 2)]
    assert len(surest(members, nonmembers)) == 4
    assert surest(np.array([np.nan]), nonmembers) == []


def test_what_training_moves():
    members = np.array([[True, False, True], [True, False, False], [False, True, False]])
    scores = np.array([[1.0, 0.5, np.nan], [0.5, 0.1, 0.2], [0.1, 0.9, 0.4]])
    trained, others = moved_by_training(scores, members)
    assert trained == pytest.approx([0.75, 0.9, np.nan], nan_ok=True)
    assert others == pytest.approx([0.1, 0.3, 0.3])
    assert moved_by_training(scores, members.astype(int))[1] == pytest.approx(others, nan_ok=True)
