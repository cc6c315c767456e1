"""Implicit augmentation against its definition."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from tessella.feature_synthesis import ISDA


def run(classifier, isda, features, labels, progress=1.0):
    return isda(classifier(features), labels, progress)


def test_covariance_of_each_class_over_batches():
    torch.manual_seed(0)
    classifier = nn.Conv2d(4, 3, 1)
    isda = ISDA(classifier, 1.0)
    features = [torch.randn(2, 4, 6, 6) * 2 + 1 for _ in range(3)]
    labels = [torch.randint(0, 3, (2, 6, 6)) for _ in range(3)]
    for batch in labels:
        batch[:, 0] = 255
    for feature, label in zip(features, labels, strict=True):
        run(classifier, isda, feature, label)
    every = torch.cat(features).permute(0, 2, 3, 1).reshape(-1, 4)
    index = torch.cat(labels).reshape(-1)
    for label in range(3):
        values = every[index == label].numpy()
        np.testing.assert_allclose(isda.mean[label], values.mean(0), rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(isda.covariance[label], np.cov(values.T, bias=True), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("none", [255, -1, 3])
def test_labels_that_are_no_class_teach_nothing(none):
    torch.manual_seed(0)
    classifier = nn.Conv2d(4, 3, 1)
    features, labels = torch.randn(1, 4, 6, 6), torch.randint(0, 2, (1, 6, 6))
    labels[:, 0] = none
    isda, known = ISDA(classifier, 1.0), labels[:, 1:]
    augmented = run(classifier, isda, features, labels)
    assert isda.count.tolist() == [(known == 0).sum(), (known == 1).sum(), 0]
    expected = ISDA(classifier, 1.0)
    torch.testing.assert_close(augmented[:, :, 1:], run(classifier, expected, features[:, :, 1:], known))


def test_labels_of_bytes():
    """Which index as if they were a mask."""
    torch.manual_seed(0)
    classifier = nn.Conv2d(4, 3, 1)
    features, labels = torch.randn(1, 4, 6, 6), torch.randint(0, 3, (1, 6, 6))
    expected = run(classifier, ISDA(classifier, 1.0), features, labels)
    torch.testing.assert_close(run(classifier, ISDA(classifier, 1.0), features, labels.byte()), expected)


def test_added_term_by_a_loop():
    torch.manual_seed(0)
    classifier = nn.Conv2d(4, 3, 1)
    isda = ISDA(classifier, 0.8)
    features, labels = torch.randn(1, 4, 5, 5), torch.randint(0, 3, (1, 10, 10))
    logits = F.interpolate(classifier(features), (10, 10))
    augmented = isda(logits, labels, 0.5)
    weight = classifier.weight[:, :, 0, 0]
    for row, column in ((0, 0), (3, 7), (9, 9)):
        y = int(labels[0, row, column])
        for k in range(3):
            v = weight[k] - weight[y]
            added = 0.5 * 0.8 * 0.5 * v @ isda.covariance[y] @ v
            torch.testing.assert_close(augmented[0, k, row, column], logits[0, k, row, column] + added)


def test_bounds_the_loss_of_moved_features():
    """Cross-entropy of the augmented logits is no less than the mean over features drawn along the covariance."""
    torch.manual_seed(0)
    classifier = nn.Conv2d(4, 3, 1)
    isda = ISDA(classifier, 1.0)
    features, labels = torch.randn(1, 4, 40, 40), torch.randint(0, 3, (1, 40, 40))
    bound = F.cross_entropy(run(classifier, isda, features, labels), labels)
    root = torch.linalg.cholesky(isda.covariance + 1e-6 * torch.eye(4))
    losses = []
    for _ in range(50):
        moved = torch.einsum("bhwij,bhwj->bihw", root[labels], torch.randn(1, 40, 40, 4))
        losses.append(F.cross_entropy(classifier(features + moved), labels).item())
    assert np.mean(losses) <= bound.item()
    assert np.mean(losses) > 0.8 * bound.item()


def test_evaluation_and_the_start_leave_logits_alone():
    classifier = nn.Conv2d(4, 3, 1)
    isda = ISDA(classifier, 1.0)
    features, labels = torch.randn(1, 4, 5, 5), torch.randint(0, 3, (1, 5, 5))
    torch.testing.assert_close(run(classifier, isda, features, labels, 0.0), classifier(features))
    classifier.eval()
    before = isda.count.clone()
    torch.testing.assert_close(run(classifier, isda, features, labels), classifier(features))
    assert torch.equal(isda.count, before)
    assert not list(isda.parameters())  # the classifier is the network's
