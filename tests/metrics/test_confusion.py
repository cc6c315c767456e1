import math
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.multiprocessing
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from tessella.errors import InputError
from tessella.metrics import ConfusionMatrix, confusion_matrix, confusion_per_image, segmentation_scores
from tessella.metrics.labels import predicted_labels

K = 5


def random_labels(seed: int, shape: tuple[int, ...] = (2, 7, 9)) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    prediction = torch.randint(0, K, shape, generator=generator)
    target = torch.randint(0, K, shape, generator=generator)
    target[torch.rand(shape, generator=generator) < 0.2] = 255
    return prediction, target


def naive_confusion(prediction: Tensor, target: Tensor, num_classes: int) -> Tensor:
    matrix = torch.zeros(num_classes, num_classes, dtype=torch.int64)
    for p, t in zip(prediction.flatten().tolist(), target.flatten().tolist(), strict=True):
        if t != 255:
            matrix[t, p] += 1
    return matrix


def naive_scores(n: list[list[int]]) -> tuple[float, float, float, float]:
    classes = range(len(n))
    total = sum(sum(row) for row in n)
    accuracies, ious, weighted = [], [], 0.0
    for i in classes:
        t = sum(n[i])
        union = t + sum(n[j][i] for j in classes) - n[i][i]
        if t:
            accuracies.append(n[i][i] / t)
        if union:
            ious.append(n[i][i] / union)
            weighted += t * n[i][i] / union
    pixel_accuracy = sum(n[i][i] for i in classes) / total
    return pixel_accuracy, sum(accuracies) / len(accuracies), sum(ious) / len(ious), weighted / total


def test_counts_equal_a_naive_loop() -> None:
    prediction, target = random_labels(0)
    assert torch.equal(confusion_matrix(prediction, target, K), naive_confusion(prediction, target, K))


@pytest.mark.parametrize("seed", range(5))
def test_scores_equal_a_naive_loop(seed: int) -> None:
    matrix = confusion_matrix(*random_labels(seed), K)
    matrix[seed % K] = 0  # a class without ground truth
    scores = segmentation_scores(matrix)
    computed = (scores.pixel_accuracy, scores.class_accuracy, scores.mean_iou, scores.frequency_weighted_iou)
    assert computed == pytest.approx(naive_scores(matrix.tolist()), rel=1e-12)


def test_scores_by_hand() -> None:
    # class 0: 3 of 4 right, 1 called 1; class 1: 4 of 6 right, 2 called 0
    scores = segmentation_scores(torch.tensor([[3, 1], [2, 4]]))
    assert scores.pixel_accuracy == pytest.approx(7 / 10)
    assert scores.class_accuracy == pytest.approx((3 / 4 + 4 / 6) / 2)
    assert scores.iou_per_class.tolist() == pytest.approx([3 / 6, 4 / 7])
    assert scores.accuracy_per_class.tolist() == pytest.approx([3 / 4, 4 / 6])
    assert scores.mean_iou == pytest.approx((3 / 6 + 4 / 7) / 2)
    assert scores.frequency_weighted_iou == pytest.approx(0.4 * 3 / 6 + 0.6 * 4 / 7)


def test_classes_that_never_occur() -> None:
    # class 1 occurs nowhere, class 2 is only predicted
    scores = segmentation_scores(torch.tensor([[3, 0, 1], [0, 0, 0], [0, 0, 0]]))
    assert scores.iou_per_class.tolist() == pytest.approx([3 / 4, math.nan, 0], nan_ok=True)
    assert scores.accuracy_per_class.tolist() == pytest.approx([3 / 4, math.nan, math.nan], nan_ok=True)
    assert scores.mean_iou == pytest.approx(3 / 8)
    assert scores.class_accuracy == pytest.approx(3 / 4)
    assert scores.frequency_weighted_iou == pytest.approx(3 / 4)


def test_without_a_pixel_every_score_is_nan() -> None:
    scores = ConfusionMatrix(3).compute()
    assert all(
        math.isnan(x)
        for x in (
            scores.pixel_accuracy,
            scores.class_accuracy,
            scores.mean_iou,
            scores.frequency_weighted_iou,
        )
    )


@pytest.mark.parametrize(
    "prediction_type", ["uint8", "int8", "int16", "uint16", "int32", "uint32", "int64", "uint64"]
)
@pytest.mark.parametrize("target_type", ["uint8", "int16", "uint16", "int32", "uint32", "int64"])
def test_any_integer_type(prediction_type: str, target_type: str) -> None:
    prediction, target = random_labels(1)
    typed = confusion_matrix(
        prediction.to(getattr(torch, prediction_type)), target.to(getattr(torch, target_type)), K
    )
    assert torch.equal(typed, naive_confusion(prediction, target, K))


@pytest.mark.parametrize("num_classes", [1, 2, 254, 255, 300, 1000])
def test_any_number_of_classes(num_classes: int) -> None:
    generator = torch.Generator().manual_seed(2)
    logits = torch.randn(2, num_classes, 6, 5, generator=generator)
    target = torch.randint(0, num_classes, (2, 6, 5), generator=generator)
    confusion = confusion_matrix(logits, target, num_classes, ignore_index=-1)
    expected = torch.zeros(num_classes, num_classes, dtype=torch.int64)
    for p, t in zip(logits.argmax(1).flatten(), target.flatten(), strict=True):
        expected[t, p] += 1
    assert torch.equal(confusion, expected)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_predicted_labels_are_the_first_maximum(dtype: torch.dtype) -> None:
    scores = torch.randint(0, 4, (2, 6, 5, 4), generator=torch.Generator().manual_seed(3)).to(dtype)
    assert torch.equal(predicted_labels(scores).long(), scores.argmax(1))
    channels_last = scores.to(memory_format=torch.channels_last)
    assert torch.equal(predicted_labels(channels_last).long(), scores.argmax(1))


def test_logits_that_require_gradients_and_infinite_ones() -> None:
    logits = torch.tensor([0.0, -math.inf, math.inf]).view(1, 3, 1, 1).requires_grad_()
    target = torch.tensor([[[2]]])
    assert confusion_matrix(logits, target, 3)[2, 2] == 1


def test_ignored_pixels_do_not_count_whatever_is_predicted_there() -> None:
    target = torch.tensor([[0, 255, 1]])
    for there in (-7, 0, 3, 255, 2**40):
        matrix = confusion_matrix(torch.tensor([[0, there, 0]]), target, 3)
        assert matrix.tolist() == [[1, 0, 0], [1, 0, 0], [0, 0, 0]]
    scores = torch.tensor([[[1.0, math.nan, 1.0]], [[0.0, 0.0, 0.0]]])
    assert confusion_matrix(scores, target, 2).tolist() == [[1, 0], [1, 0]]


def test_batches_without_images_and_any_leading_dimensions() -> None:
    assert confusion_matrix(torch.zeros(0, K, 4, 4), torch.zeros(0, 4, 4, dtype=torch.int64), K).sum() == 0
    assert confusion_per_image(torch.zeros(0, 4, 4).int(), torch.zeros(0, 4, 4).int(), K).shape == (0, K, K)
    prediction, target = random_labels(4, (2, 3, 4, 5))
    expected = naive_confusion(prediction, target, K)
    assert torch.equal(confusion_matrix(prediction, target, K), expected)
    scores = torch.nn.functional.one_hot(prediction, K).movedim(-1, -3).float()
    assert torch.equal(confusion_matrix(scores, target, K), expected)
    assert torch.equal(
        confusion_matrix(scores[0, 0], target[0, 0], K), naive_confusion(prediction[0, 0], target[0, 0], K)
    )


@pytest.mark.parametrize("outside", [-1, K, 34, 2**40])
@pytest.mark.parametrize("what", ["prediction", "target"])
def test_labels_outside_the_classes_are_named(what: str, outside: int) -> None:
    prediction, target = random_labels(5)
    target[0, 0, 0] = 1
    {"prediction": prediction, "target": target}[what][0, 0, 0] = outside
    matrix = ConfusionMatrix(K)
    with pytest.raises(InputError, match=rf"^{what} holds label {outside} \(1 pixels\).*0 to 4") as error:
        matrix.update(prediction, target)
    assert "\n" not in str(error.value)
    assert matrix.matrix.sum() == 0


def test_many_unknown_labels_are_abbreviated() -> None:
    with pytest.raises(InputError, match=r"label 10, 11, 12, 13, 14, \.\.\. \(8 pixels\)"):
        confusion_matrix(torch.zeros(2, 4).int(), torch.arange(10, 18).view(2, 4), K)


def test_nan_scores_are_refused() -> None:
    scores = torch.zeros(1, 3, 2, 2)
    scores[0, 1, 0, 1] = math.nan
    with pytest.raises(InputError, match="NaN scores in 1 pixels"):
        ConfusionMatrix(3).update(scores, torch.zeros(1, 2, 2).int())


@pytest.mark.parametrize(
    ("prediction", "target", "message"),
    [
        (torch.zeros(2, 4, 4).int(), torch.zeros(2, 4, 5).int(), r"labels of shape \(2, 4, 4\).*\(2, 4, 5\)"),
        (
            torch.zeros(2, 4, 4, 4),
            torch.zeros(2, 4, 4).int(),
            r"scores of shape .* expected shape \(2, 3, 4, 4\)",
        ),
        (torch.zeros(2, 4, 4), torch.zeros(2, 4, 4).int(), r"expected shape \(2, 3, 4, 4\)"),
        (torch.zeros(2, 4, 4).int(), torch.zeros(2, 4, 4), "float32"),
    ],
)
def test_shapes_and_types_that_do_not_fit(prediction: Tensor, target: Tensor, message: str) -> None:
    with pytest.raises(InputError, match=message):
        ConfusionMatrix(3).update(prediction, target)


def test_constructor_refuses_what_makes_no_sense() -> None:
    with pytest.raises(InputError, match="num_classes is 0"):
        ConfusionMatrix(0)
    with pytest.raises(InputError, match="ignore_index 2 is one of the 3 classes"):
        ConfusionMatrix(3, ignore_index=2)
    with pytest.raises(InputError, match="ignore_index 255 is one of the 300 classes"):
        ConfusionMatrix(300)


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 2**31))
def test_the_order_of_pixels_does_not_matter(seed: int) -> None:
    prediction, target = random_labels(seed)
    order = torch.randperm(target.numel(), generator=torch.Generator().manual_seed(seed))
    shuffled = (x.flatten()[order].view(x.shape) for x in (prediction, target))
    assert torch.equal(confusion_matrix(*shuffled, K), confusion_matrix(prediction, target, K))


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 2**31))
def test_updates_merges_and_sums_per_image_agree(seed: int) -> None:
    prediction, target = random_labels(seed, (4, 5, 6))
    whole, first, second = ConfusionMatrix(K), ConfusionMatrix(K), ConfusionMatrix(K)
    whole.update(prediction, target)
    first.update(prediction[:1], target[:1])
    second.update(prediction[1:3], target[1:3])
    second.update(prediction[3], target[3])
    total = first + second
    assert torch.equal(total.matrix, whole.matrix)
    assert torch.equal(total.matrix, confusion_per_image(prediction, target, K).sum(0))
    first.merge(second)
    assert torch.equal(first.matrix, whole.matrix)


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 2**31))
def test_renaming_the_classes_permutes_the_scores(seed: int) -> None:
    prediction, target = random_labels(seed)
    names = torch.randperm(K, generator=torch.Generator().manual_seed(seed))
    renamed = torch.where(target == 255, 255, names[target.clamp(max=K - 1)])
    scores = segmentation_scores(confusion_matrix(prediction, target, K))
    permuted = segmentation_scores(confusion_matrix(names[prediction], renamed, K))
    assert permuted.mean_iou == pytest.approx(scores.mean_iou, nan_ok=True)
    np.testing.assert_allclose(permuted.iou_per_class[names], scores.iou_per_class)


def test_exchanging_prediction_and_truth_keeps_the_iou() -> None:
    prediction, target = random_labels(6)
    target[target == 255] = 0
    forth = segmentation_scores(confusion_matrix(prediction, target, K))
    back = segmentation_scores(confusion_matrix(target, prediction, K))
    np.testing.assert_allclose(forth.iou_per_class, back.iou_per_class)


def test_state_survives_a_file(tmp_path: Path) -> None:
    saved = ConfusionMatrix(K)
    saved.update(*random_labels(7))
    torch.save(saved.state_dict(), tmp_path / "state.pt")
    loaded = ConfusionMatrix(K)
    loaded.load_state_dict(torch.load(tmp_path / "state.pt"))
    assert torch.equal(loaded.matrix, saved.matrix)
    with pytest.raises(InputError, match="num_classes 5, this one has 6"):
        ConfusionMatrix(6).load_state_dict(saved.state_dict())
    saved.reset()
    assert saved.matrix.sum() == 0
    assert loaded.matrix.sum() > 0


def test_matrices_of_other_classes_do_not_merge() -> None:
    with pytest.raises(InputError, match="5 and 6 classes"):
        ConfusionMatrix(5).merge(ConfusionMatrix(6))
    with pytest.raises(InputError, match="ignore 255 and -1"):
        ConfusionMatrix(5).merge(ConfusionMatrix(5, ignore_index=-1))


def _count_in_one_process(rank: int, world_size: int, folder: str) -> None:
    torch.set_num_threads(1)
    torch.distributed.init_process_group(
        "gloo",
        init_method=f"file://{folder}/rendezvous",
        rank=rank,
        world_size=world_size,
        timeout=timedelta(seconds=60),
    )
    matrix = ConfusionMatrix(K)
    matrix.update(*random_labels(rank))
    total = matrix.all_reduce()
    assert torch.equal(matrix.matrix, confusion_matrix(*random_labels(rank), K))  # own counts untouched
    torch.save(total.state_dict(), f"{folder}/{rank}.pt")
    torch.distributed.destroy_process_group()


def test_two_processes_see_the_sum(tmp_path: Path) -> None:
    torch.multiprocessing.spawn(_count_in_one_process, args=(2, str(tmp_path)), nprocs=2)
    expected = confusion_matrix(*random_labels(0), K) + confusion_matrix(*random_labels(1), K)
    for rank in range(2):
        assert torch.equal(torch.load(tmp_path / f"{rank}.pt")["matrix"], expected)


def test_one_process_alone_gets_a_copy() -> None:
    matrix = ConfusionMatrix(K)
    matrix.update(*random_labels(8))
    total = matrix.all_reduce()
    matrix.reset()
    assert torch.equal(total.matrix, confusion_matrix(*random_labels(8), K))


@pytest.mark.gpu
def test_gpu_counts_the_same() -> None:
    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    prediction, target = random_labels(9)
    assert torch.equal(
        confusion_matrix(prediction.cuda(), target, K).cpu(), confusion_matrix(prediction, target, K)
    )
