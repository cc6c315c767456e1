"""Training with synthetic features beside images."""

import itertools
from functools import partial

import pytest
import torch
import torch.distributed as dist
from torch import nn
from torch.nn import functional as F

from tessella.errors import InputError
from tessella.feature_synthesis import split
from tessella.networks import PSPNet, ResNet
from tessella.training.extra import Extra
from tessella.training.losses import SegmentationLoss
from tessella.training.mixed import MixedTask
from tessella.training.schedules import parameter_groups, poly


@pytest.fixture
def network():
    torch.manual_seed(0)
    return PSPNet(
        4,
        backbone=partial(ResNet, depth=18, width=8),
        pyramid_channels=8,
        head_channels=8,
        auxiliary_channels=8,
        dropout=0.0,
    ).train()


def task_of(network, synthesize, **options):
    halves = split(network, "backbone.layer3")

    def decode(labels):
        return halves.decode_all(synthesize(labels), tuple(labels.shape[1:]))

    extra = Extra(
        loss=options.pop("loss", SegmentationLoss()),
        weight=options.pop("weight", 0.5),
        decode=decode if synthesize else None,
        **options,
    )

    def configure(module):
        optimizer = torch.optim.SGD(module.parameters(), 0.1)
        return optimizer, poly(optimizer, 10)

    task = MixedTask(network, SegmentationLoss(), configure, 4, 0, extra=extra)
    batches = itertools.count()
    task.first_position = lambda count: count * next(batches)
    return task


def batch_of(number=2, extra=1):
    torch.manual_seed(1)
    return {
        "image": torch.rand(number, 3, 48, 64),
        "labels": torch.randint(0, 4, (number, 48, 64)),
        "id": [str(n) for n in range(number)],
        "extra_image": torch.rand(extra, 3, 48, 64),
        "extra_labels": torch.randint(0, 4, (extra, 48, 64)),
    }


def noise(labels):
    return torch.randn(len(labels), 32, 6, 8, generator=torch.Generator().manual_seed(0))


def test_equation_6_1(network):
    batch, features = batch_of(), noise(torch.zeros(1))
    network.eval()
    network.forward_with_auxiliary(batch["image"])
    loss = task_of(network, noise).loss_of(batch)
    real = F.cross_entropy(network(batch["image"]), batch["labels"])
    halves = split(network, "backbone.layer3")
    logits, (auxiliary,) = halves.decode_all(features, (48, 64))
    labels = batch["extra_labels"]
    extra = F.cross_entropy(logits, labels) + 0.4 * F.cross_entropy(auxiliary, labels)
    torch.testing.assert_close(loss, real + 0.5 * extra)


def test_synthetic_features_leave_the_encoder_alone(network):
    """Gradients of the encoder are those of the images alone; the decoder's are not."""
    network.eval()
    batch = batch_of()
    task_of(network, noise).loss_of(batch).backward()
    mixed = {name: p.grad.clone() for name, p in network.named_parameters() if p.grad is not None}
    network.zero_grad()
    task_of(network, noise, weight=0.0).loss_of(batch).backward()
    for name, parameter in network.named_parameters():
        if parameter.grad is not None:
            decoder = not name.startswith("backbone") or name.startswith("backbone.layer4")
            assert torch.equal(mixed[name], parameter.grad) != decoder, name


def test_smoothing_is_equation_6_3(network):
    network.eval()
    labels = torch.randint(0, 4, (2, 5, 5))
    logits = torch.randn(2, 4, 5, 5)
    epsilon, classes = 0.1, 4
    weights = torch.full((2, 5, 5, 4), epsilon / classes)
    weights.scatter_(3, labels[..., None], 1 - (classes - 1) / classes * epsilon)
    expected = -(logits.log_softmax(1).permute(0, 2, 3, 1) * weights).sum(3).mean()
    torch.testing.assert_close(SegmentationLoss(label_smoothing=epsilon)(logits, labels), expected)


def test_synthetic_features_never_enter_the_statistics(network):
    batch = batch_of()
    network.train()
    alone = {k: v.clone() for k, v in network.state_dict().items()}
    network.forward_with_auxiliary(batch["image"])
    expected = {k: v.clone() for k, v in network.state_dict().items() if "running" in k}
    for synthesize in (noise, None):
        network.load_state_dict(alone)
        task_of(network, synthesize).loss_of(batch)
        assert all(torch.equal(network.state_dict()[name], value) for name, value in expected.items())
    assert all(m.momentum == 0.1 for m in network.modules() if isinstance(m, nn.BatchNorm2d))


def test_auxiliary_norms_are_of_the_synthetic_part_alone(network):
    task = task_of(network, noise, auxiliary_norms=True)
    batch = batch_of(extra=3)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    optimizer = task.configure_optimizers()["optimizer"]
    assert {id(p) for p in task.norms.parameters()} <= {
        id(p) for group in optimizer.param_groups for p in group["params"]
    }

    # They begin as the network's: by the statistics of the batch, the answer is the same.
    with torch.no_grad():
        first = task._extra_loss(batch)
        plain = task_of(network, noise)._extra_loss(batch)
    assert first == plain
    task._extra_loss(batch).backward()
    of_network = network.backbone.layer4[0].bn1
    assert of_network.weight.grad is None
    assert network.backbone.layer4[0].conv1.weight.grad.abs().sum() > 0
    index = [m for m in network.modules() if isinstance(m, nn.BatchNorm2d)].index(of_network)
    assert task.norms.scales[index].grad.abs().sum() > 0
    assert task.norms.scales[0].grad.abs().sum() == 0  # before the cut

    optimizer.step()
    after = network.state_dict()
    of_norms = [name for name in before if ".bn" in name and "tracked" not in name]
    assert of_norms
    assert all(torch.equal(after[name], before[name]) for name in of_norms)  # statistics too


def test_the_hardest_quarter_gives_the_next_layouts(network):
    network.eval()
    seen = []

    def record(labels):
        seen.append(labels.clone())
        return noise(labels)

    batch = batch_of(4)

    def recall(position):
        return batch["image"][position % 4], batch["labels"][position % 4]

    task = task_of(network, record, hard=2, recall=recall)
    with torch.no_grad():
        pixels = F.cross_entropy(network(batch["image"]), batch["labels"], reduction="none").mean((1, 2))
    hardest = int(pixels.argmax())
    task.loss_of(batch)
    assert torch.equal(seen[-1], batch["extra_labels"])
    task.loss_of(batch)  # the same images: the hardest stands twice in the stream, and twice in the quarter
    assert sorted(task.hardest) == [hardest, 4 + hardest]
    assert torch.equal(seen[-1][0], batch["labels"][hardest])
    task.loss_of(batch)
    # Those of a source of their own stay: two of the first three.
    batch["extra_image"] = batch["extra_image"].repeat(3, 1, 1, 1)
    batch["extra_labels"] = batch["extra_labels"].repeat(3, 1, 1)
    kept = task_of(network, record, hard=2, recall=recall, kept=lambda position: position != 1)
    kept.hardest = task.hardest
    kept._extra_loss(batch)
    for place in range(3):
        assert torch.equal(seen[-1][place], batch["extra_labels"][place]) == (place != 1)

    saved: dict = {}
    task.on_save_checkpoint(saved)
    (own,) = saved["synthetic"]["hard"]
    assert not any(isinstance(value, torch.Tensor) for value in own.values())  # no training data
    again = task_of(network, record, hard=2, recall=recall)
    again.on_load_checkpoint(saved)
    assert again.hardest == task.hardest
    assert again.seen == task.seen
    assert len(task.seen) == 4
    other = task_of(network, record, hard=2, recall=recall, source="another")
    with pytest.raises(
        InputError, match=r"^synthetic\.generator: is not the one that this run was begun with"
    ):
        other.on_load_checkpoint(saved)


def test_what_is_hard_is_kept_by_each_process(network, monkeypatch):
    task = task_of(network, noise, hard=2)
    task.hardest, task.seen = [3], [(0.5, 7)]
    saved: dict = {}
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    try:
        task.on_save_checkpoint(saved)
    finally:
        dist.destroy_process_group()
    assert saved["synthetic"]["hard"] == [{"hardest": [3], "seen": [[0.5, 7]]}]
    saved["synthetic"]["hard"].append({"hardest": [4], "seen": []})
    monkeypatch.setattr(MixedTask, "global_rank", 1)
    task.on_load_checkpoint(saved)
    assert (task.hardest, task.seen) == ([4], [])


def test_auxiliary_norms_learn_as_fast_as_those_beside_them(network):
    task = task_of(network, noise, auxiliary_norms=True)

    def configure(module):
        optimizer = torch.optim.SGD(parameter_groups(module, 0.1, 10.0, 1e-4))
        return optimizer, poly(optimizer, 10)

    task.configure = configure
    groups = task.configure_optimizers()["optimizer"].param_groups
    place = {id(p): number for number, group in enumerate(groups) for p in group["params"]}
    twins = task.norms.twins(network)
    assert len(twins) == len(list(task.norms.parameters()))
    assert all(place[id(first)] == place[id(second)] for first, second in twins.items())
    assert len({place[id(first)] for first in twins}) == 2  # of the backbone, and of the head


def test_real_images_as_the_control(network):
    network.eval()
    batch = batch_of()

    def recall(position):
        return batch["image"][position], batch["labels"][position]

    def with_auxiliary(image, labels):
        logits, (auxiliary,) = network.forward_with_auxiliary(image)
        return F.cross_entropy(logits, labels) + 0.4 * F.cross_entropy(auxiliary, labels)

    real = F.cross_entropy(network(batch["image"]), batch["labels"])
    extra = with_auxiliary(batch["extra_image"], batch["extra_labels"])
    torch.testing.assert_close(task_of(network, None).loss_of(batch), real + 0.5 * extra)
    losses = [
        F.cross_entropy(network(i[None]), y[None])
        for i, y in zip(batch["image"], batch["labels"], strict=True)
    ]
    hardest = losses.index(max(losses))
    hard = with_auxiliary(batch["image"][hardest, None], batch["labels"][hardest, None])
    loss = task_of(network, None, hard=1, recall=recall).loss_of(batch)
    torch.testing.assert_close(loss, real + 0.5 * hard)


def test_filter_leaves_out_pixels_that_lie_far_above_their_class(network):
    task = task_of(network, noise, filter=1.25)
    logits = torch.zeros(1, 4, 4, 4)
    labels = torch.zeros(1, 4, 4, dtype=torch.long)
    labels[0, 0] = 255
    logits[0, 1, 3, 3] = 10.0  # one pixel is decoded as another class
    left = task._without_outliers(logits, labels)
    assert left[0, 3, 3] == 255
    assert (left == 255).sum() == 5
    assert task.class_loss[0] > 0
    assert task.class_loss[1:].sum() == 0


def test_class_weights_of_the_extra_loss_move_with_the_task(network):
    task = task_of(network, noise, loss=SegmentationLoss(class_weights=[1.0, 2.0, 3.0, 4.0])).to("meta")
    assert task.extra.loss.class_weights.device.type == "meta"


def test_run_that_was_begun_without(network):
    with pytest.raises(
        InputError, match=r"^synthetic: this run was begun without; begin anew in another --out"
    ):
        task_of(network, noise).on_load_checkpoint({"state_dict": {}})
