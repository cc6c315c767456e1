import pytest
import torch
from torch import nn

from tessella.errors import InputError
from tessella.inference import evaluation_mode, logits, posteriors


def small_network(classes: int = 3) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, classes, 1)
    )


class Failing(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.BatchNorm2d(3)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        raise RuntimeError("out of memory")


@pytest.mark.parametrize("size", [(1, 1), (7, 5), (16, 32)])
def test_posteriors_are_the_softmax_of_the_networks_output(size: tuple[int, int]) -> None:
    network = small_network().eval()
    image = torch.randn(2, 3, *size)
    expected = network(image)
    torch.testing.assert_close(logits(network, image), expected)
    torch.testing.assert_close(posteriors(network, image), expected.softmax(1))
    torch.testing.assert_close(posteriors(network, image).sum(1), torch.ones(2, *size))


def test_dropout_and_batch_statistics_are_off_and_every_flag_comes_back() -> None:
    network = nn.Sequential(small_network(), nn.Dropout(0.5))
    network.train()
    network[0][1].eval()  # a frozen normalisation inside a network in training
    flags = [module.training for module in network.modules()]
    image = torch.randn(1, 3, 8, 8)
    assert torch.equal(posteriors(network, image), posteriors(network, image))
    assert [module.training for module in network.modules()] == flags
    assert network[0][1].num_batches_tracked == 0


def test_an_exception_leaves_no_mode_behind() -> None:
    network = Failing().train()
    with pytest.raises(RuntimeError, match="out of memory"):
        posteriors(network, torch.randn(1, 3, 4, 4))
    assert network.training
    assert network.inner.training
    assert torch.is_grad_enabled()
    assert not torch.is_inference_mode_enabled()
    assert not torch.is_autocast_enabled("cpu")


def test_evaluation_mode_restores_flags() -> None:
    network = small_network().train()
    with evaluation_mode(network):
        assert not any(module.training for module in network.modules())
    assert all(module.training for module in network.modules())


def test_a_network_that_refuses_other_modes_is_taken_as_it_is() -> None:
    image = torch.randn(1, 3, 4, 4)
    exported = torch.export.export(nn.Conv2d(3, 2, 1), (image,)).module()
    with pytest.raises(RuntimeError, match="not supported"):  # what torch.export's own modules say
        exported.eval()
    torch.testing.assert_close(logits(exported, image), exported(image))


@pytest.mark.parametrize("predict", [logits, posteriors])
def test_results_are_without_gradient_yet_can_be_trained_on(predict: object) -> None:
    image = torch.randn(1, 3, 6, 6, requires_grad=True)
    result = predict(small_network(), image)  # type: ignore[operator]
    assert not result.requires_grad
    assert not result.is_inference()
    weight = torch.ones((), requires_grad=True)
    (result * weight).sum().backward()
    assert weight.grad is not None


def test_a_double_network_gives_double_and_a_half_network_gives_float() -> None:
    image = torch.randn(1, 3, 6, 6)
    assert logits(small_network().double(), image).dtype == torch.float64
    assert logits(small_network().bfloat16(), image).dtype == torch.float32


def test_autocast_runs_the_network_in_the_given_type() -> None:
    seen = []
    network = small_network()
    network[3].register_forward_hook(lambda module, inputs, output: seen.append(output.dtype))
    image = torch.randn(1, 3, 6, 6)
    result = posteriors(network, image, autocast=torch.bfloat16)
    assert seen == [torch.bfloat16]
    assert result.dtype == torch.float32
    torch.testing.assert_close(result, posteriors(network, image), atol=0.02, rtol=0)


def test_a_network_without_parameters() -> None:
    image = torch.randn(2, 3, 4, 5)
    assert torch.equal(logits(nn.Identity(), image), image)


@pytest.mark.parametrize(
    "image", [torch.zeros(3, 4, 4), torch.zeros(1, 3, 4, 4, dtype=torch.uint8)], ids=["no batch", "uint8"]
)
def test_an_image_of_the_wrong_kind_is_named(image: torch.Tensor) -> None:
    with pytest.raises(InputError, match=r"^image: .*give a normalised float tensor \[B, C, H, W\]$"):
        posteriors(small_network(), image)


def test_a_network_with_another_output_is_named() -> None:
    image = torch.randn(1, 3, 8, 8)
    with pytest.raises(InputError, match=r"^network: returned shape \[1, 3, 4, 4\] for an image"):
        posteriors(nn.MaxPool2d(2), image)

    class Wrapped(nn.Module):
        def forward(self, image: torch.Tensor) -> dict[str, torch.Tensor]:
            return {"out": image}

    with pytest.raises(InputError, match=r"^network: returned dict; wrap it"):
        posteriors(Wrapped(), image)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_the_result_lies_where_the_image_lies() -> None:
    image = torch.randn(1, 3, 16, 16)
    on_gpu = posteriors(small_network().cuda(), image)
    assert on_gpu.device == image.device
    torch.testing.assert_close(on_gpu, posteriors(small_network(), image), atol=1e-3, rtol=1e-3)
