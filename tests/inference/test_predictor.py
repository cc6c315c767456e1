import pytest
import torch
from torch import nn

from tessella.errors import InputError
from tessella.inference import (
    InferencePlan,
    Predictor,
    Windows,
    logits,
    multi_scale,
    posteriors,
    sliding_window,
)


@pytest.fixture
def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.Dropout(0.5), nn.Conv2d(4, 5, 1)).train()


def test_the_default_plan_is_one_forward_pass(network: nn.Module) -> None:
    image = torch.randn(2, 3, 13, 9)
    assert torch.equal(Predictor(network)(image), posteriors(network, image))


@pytest.mark.parametrize("average", ["posteriors", "logits"])
def test_a_full_plan_equals_its_pieces(network: nn.Module, average: str) -> None:
    image, windows = torch.randn(2, 3, 21, 18), Windows(8, 10)
    plan = InferencePlan(windows, (0.75, 1.0), flip=True, average=average)  # type: ignore[arg-type]
    forward = posteriors if average == "posteriors" else logits

    def slide(scaled: torch.Tensor) -> torch.Tensor:
        return sliding_window(lambda crops: forward(network, crops), scaled, windows)

    expected = multi_scale(slide, image, (0.75, 1.0), flip=True)
    if average == "logits":
        expected = expected.softmax(1)
    result = Predictor(network, plan)(image)
    torch.testing.assert_close(result, expected)
    torch.testing.assert_close(result.sum(1), torch.ones(2, 21, 18))
    assert not result.is_inference()
    assert network.training


def test_mixed_precision_stays_close(network: nn.Module) -> None:
    image = torch.randn(1, 3, 12, 12)
    mixed = Predictor(network, InferencePlan(precision="bfloat16"))(image)
    assert mixed.dtype == torch.float32
    assert not torch.equal(mixed, Predictor(network)(image))
    torch.testing.assert_close(mixed, Predictor(network)(image), atol=0.02, rtol=0)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"scales": ()}, "^scales: "),
        ({"average": "votes"}, "^average: 'votes'; give one of"),
        ({"precision": "int8"}, "^precision: 'int8'; give one of"),
    ],
)
def test_an_impossible_plan_is_named(fields: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        InferencePlan(**fields)
