"""What every network must do, whatever its architecture."""

import warnings
from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
import torch
from torch import nn

from tessella.networks import (
    DPC,
    FCN,
    VGG16,
    DeepLabLargeFOV,
    DeepLabV2,
    DeepLabV3Plus,
    MobileNetV2,
    PSPNet,
    ResNet,
    TwoStreamFCN,
    UPerNet,
    Xception,
)

NUM_CLASSES = 5
resnet = partial(ResNet, depth=18, width=8)
bottlenecks = partial(ResNet, depth=50, width=4, deep_stem=True)
vgg = partial(VGG16, width=8, fc_channels=16)
large_fov = partial(VGG16, width=8, pool_size=3, fc_channels=16, fc_kernel_size=3, fc_dilation=12)
mobilenet = partial(MobileNetV2, width_multiplier=0.25)
xception = partial(Xception, width=8)
narrow_psp = {"pyramid_channels": 8, "head_channels": 8, "auxiliary_channels": 8}
narrow_deeplab = {"pyramid_channels": 8, "low_level_channels": 8, "decoder_channels": 8}

NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "FCN-32s": partial(FCN, NUM_CLASSES, backbone=vgg, stride=32),
    "FCN-16s": partial(FCN, NUM_CLASSES, backbone=vgg, stride=16),
    "FCN-8s": partial(FCN, NUM_CLASSES, backbone=vgg, stride=8),
    "FCN-8s on ResNet": partial(FCN, NUM_CLASSES, backbone=resnet, stride=8),
    "two-stream FCN": partial(TwoStreamFCN, NUM_CLASSES, backbone=vgg),
    "LargeFOV": partial(DeepLabLargeFOV, NUM_CLASSES, backbone=large_fov),
    "DeepLab-v2": partial(DeepLabV2, NUM_CLASSES, backbone=partial(resnet, stride_in_1x1=True)),
    "DeepLab-v3+": partial(DeepLabV3Plus, NUM_CLASSES, backbone=mobilenet, **narrow_deeplab),
    "DeepLab-v3+, 4 channels": partial(
        DeepLabV3Plus, NUM_CLASSES, 4, backbone=resnet, output_stride=8, **narrow_deeplab
    ),
    "PSPNet": partial(PSPNet, NUM_CLASSES, backbone=resnet, **narrow_psp),
    "PSPNet on bottlenecks": partial(PSPNet, NUM_CLASSES, backbone=bottlenecks, **narrow_psp),
    "UPerNet": partial(UPerNet, NUM_CLASSES, backbone=resnet, channels=8, auxiliary_channels=8),
    "DPC": partial(
        DPC, NUM_CLASSES, backbone=xception, cell_channels=8, low_level_channels=8, decoder_channels=8
    ),
}
# One of each kind: export and compilation take seconds each.
KINDS = ["FCN-8s", "two-stream FCN", "LargeFOV", "DeepLab-v2", "DeepLab-v3+", "PSPNet", "UPerNet", "DPC"]
QUICK_KINDS = ("LargeFOV", "PSPNet")


def kinds() -> list:
    return [
        pytest.param(name, marks=() if name in QUICK_KINDS else pytest.mark.slow, id=name) for name in KINDS
    ]


def build(name: str) -> nn.Module:
    torch.manual_seed(0)
    return NETWORKS[name]()


def image_for(network: nn.Module, batch: int, height: int, width: int) -> torch.Tensor:
    """Noise with as many channels as the network reads."""
    first = next(layer.in_channels for layer in network.modules() if isinstance(layer, nn.Conv2d))
    channels = 2 * first if isinstance(network, TwoStreamFCN) else first
    generator = torch.Generator().manual_seed(1)
    return torch.randn(batch, channels, height, width, generator=generator)


class TestEveryNetwork:
    @pytest.mark.parametrize("name", NETWORKS)
    @pytest.mark.parametrize("size", [(1, 1), (2, 3), (17, 3), (33, 65), (64, 96), (65, 129)])
    def test_logits_have_the_size_of_any_image(self, name: str, size: tuple[int, int]):
        network = build(name).eval()
        with torch.no_grad():
            logits = network(image_for(network, 1, *size))
        assert logits.shape == (1, NUM_CLASSES, *size)
        assert logits.isfinite().all()

    @pytest.mark.parametrize("name", NETWORKS)
    def test_trains_on_a_single_image(self, name: str):
        network = build(name).train()
        logits = network(image_for(network, 1, 65, 97))
        logits.square().mean().backward()
        assert all(p.grad is None or p.grad.isfinite().all() for p in network.parameters())

    @pytest.mark.parametrize("name", NETWORKS)
    def test_gradient_reaches_every_parameter(self, name: str):
        network = build(name).train()
        image = image_for(network, 2, 65, 97)
        if hasattr(network, "forward_with_auxiliary"):
            logits, auxiliary = network.forward_with_auxiliary(image)
            assert all(other.shape == logits.shape for other in auxiliary)
            outputs = [logits, *auxiliary]
        else:
            outputs = [network(image)]
        sum((output * torch.randn_like(output)).sum() for output in outputs).backward()
        unreached = [n for n, p in network.named_parameters() if p.grad is None or not p.grad.any()]
        assert unreached == []

    @pytest.mark.parametrize("name", NETWORKS)
    def test_state_dict_restores_the_network(self, name: str, tmp_path):
        network, other = build(name).eval(), NETWORKS[name]().eval()
        image = image_for(network, 1, 33, 47)
        with torch.no_grad():
            expected = network(image)
            assert not torch.equal(other(image), expected)
            torch.save(network.state_dict(), tmp_path / "network.pt")
            other.load_state_dict(torch.load(tmp_path / "network.pt", weights_only=True), strict=True)
            assert torch.equal(other(image), expected)

    @pytest.mark.parametrize("name", NETWORKS)
    def test_evaluation_is_deterministic_and_treats_images_apart(self, name: str):
        network = build(name).eval()
        images = image_for(network, 2, 40, 56)
        with torch.no_grad():
            logits = network(images)
            assert torch.equal(network(images), logits)
            torch.testing.assert_close(network(images[1:]), logits[1:], rtol=1e-4, atol=1e-4)

    @pytest.mark.parametrize("name", NETWORKS)
    def test_backbone_is_what_is_pretrained(self, name: str):
        network = build(name)
        heads = [n for n, _ in network.named_parameters() if not n.startswith("backbone.")]
        assert isinstance(network.backbone, nn.Module)
        assert len(heads) > 0

    @pytest.mark.parametrize("name", NETWORKS)
    def test_auxiliary_pass_gives_the_same_logits(self, name: str):
        network = build(name).eval()
        if not hasattr(network, "forward_with_auxiliary"):
            pytest.skip("no auxiliary head")
        image = image_for(network, 2, 40, 56)
        with torch.no_grad():
            logits, auxiliary = network.forward_with_auxiliary(image)
            assert len(auxiliary) == 1
            assert torch.equal(logits, network(image))

    @pytest.mark.parametrize("name", kinds())
    def test_compiles(self, name: str):
        self.check_compiled(build(name).eval(), backend="aot_eager")

    @pytest.mark.slow
    @pytest.mark.filterwarnings("ignore:.*script_method:DeprecationWarning")  # torch's own
    @pytest.mark.parametrize("name", QUICK_KINDS)
    def test_compiles_to_machine_code(self, name: str):
        self.check_compiled(build(name).eval(), backend="inductor")

    def check_compiled(self, network: nn.Module, backend: str):
        """Without a break in the graph, which would hide what cannot be compiled."""
        compiled = torch.compile(network, backend=backend, fullgraph=True)
        image = image_for(network, 2, 64, 96)
        with torch.no_grad():
            torch.testing.assert_close(compiled(image), network(image), rtol=1e-4, atol=1e-4)

    @pytest.mark.parametrize("name", kinds())
    def test_exports_for_any_batch_and_size(self, name: str):
        network = build(name).eval()
        program = torch.export.export(
            network, (image_for(network, 2, 64, 96),), dynamic_shapes=dynamic_shapes()
        )
        with torch.no_grad():
            for shape in [(1, 33, 49), (3, 80, 71)]:
                image = image_for(network, *shape)
                torch.testing.assert_close(program.module()(image), network(image), rtol=1e-4, atol=1e-4)

    @pytest.mark.slow
    @pytest.mark.parametrize("name", KINDS)
    def test_onnx_file_gives_the_same_logits(self, name: str, tmp_path):
        onnxruntime = pytest.importorskip("onnxruntime")
        network = build(name).eval()
        path = tmp_path / "network.onnx"
        with warnings.catch_warnings():
            # torch's exporter calls a deprecated check of its own pytree.
            warnings.filterwarnings("ignore", message=".*LeafSpec.*", category=FutureWarning)
            program = torch.onnx.export(
                network,
                (image_for(network, 2, 64, 96),),
                dynamo=True,
                dynamic_shapes=dynamic_shapes(),
                verbose=False,
            )
            program.save(path)
        session = onnxruntime.InferenceSession(path)
        for shape in [(1, 33, 49), (3, 80, 71)]:
            image = image_for(network, *shape)
            with torch.no_grad():
                expected = network(image).numpy()
            (logits,) = session.run(None, {session.get_inputs()[0].name: image.numpy()})
            np.testing.assert_allclose(logits, expected, rtol=1e-3, atol=1e-4)


def dynamic_shapes() -> dict:
    """Any batch; heights and widths above the stride of the coarsest map."""
    height, width = torch.export.Dim("height", min=33), torch.export.Dim("width", min=33)
    return {"image": {0: torch.export.Dim("batch", min=1), 2: height, 3: width}}
