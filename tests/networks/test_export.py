"""Exported files: equal to the network at other sizes, self-describing, and never half written."""

import sys

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from tessella.errors import InputError
from tessella.networks import export as export_module
from tessella.networks.adapters import as_network
from tessella.networks.export import export
from tessella.networks.exported_network import Description, load_exported

CLASSES = (("sky", (70, 130, 180)), ("road", (128, 64, 128)))


class Network(nn.Module):
    def __init__(self, in_channels=3):
        super().__init__()
        self.backbone = nn.Sequential(
            nn.Conv2d(in_channels, 4, 3, stride=4, padding=1), nn.BatchNorm2d(4), nn.ReLU()
        )
        self.head = nn.Conv2d(4, 2, 1)
        self.dropout = nn.Dropout(0.5)

    def forward(self, image):
        logits = self.head(self.dropout(self.backbone(image)))
        return F.interpolate(logits, size=image.shape[-2:], mode="bilinear", align_corners=False)


class FixedSize(Network):
    """Position embedding of one size, as in many transformers."""

    def __init__(self):
        super().__init__()
        self.position = nn.Parameter(torch.randn(1, 3, 32, 48))

    def forward(self, image):
        return super().forward(image + self.position)


@pytest.fixture(params=[".pt2", ".onnx"])
def suffix(request):
    if request.param == ".onnx":
        pytest.importorskip("onnxruntime")
        pytest.importorskip("onnxscript")
    return request.param


def test_round_trip_at_any_size(tmp_path, suffix):
    torch.manual_seed(0)
    network = Network(in_channels=4).train()
    report = export(
        network,
        tmp_path / f"a{suffix}",
        input_size=(32, 48),
        in_channels=4,
        classes=CLASSES,
        mean=(0.5, 0.25, 0.125, 0),
        std=(1, 1, 1, 2),
    )
    assert report.fixed == ()
    assert report.largest_difference < 1e-5
    assert f"a{suffix}: logits differ from the network's by at most" in str(report)
    assert network.training  # the user's network is left alone

    exported = load_exported(tmp_path / f"a{suffix}")
    assert exported.description == report.description
    assert exported.description == Description(
        input_shape=(None, 4, None, None),
        num_classes=2,
        classes=CLASSES,
        mean=(0.5, 0.25, 0.125, 0),
        std=(1, 1, 1, 2),
        scale=255,
    )
    network.eval()
    exported.train().eval()
    for shape in ((1, 4, 32, 48), (3, 4, 37, 29), (1, 4, 200, 64)):
        image = torch.randn(shape)
        torch.testing.assert_close(exported(image), network(image), rtol=1e-4, atol=1e-5)
    assert [path.name for path in tmp_path.iterdir()] == [f"a{suffix}"]


def test_padding_adapter_at_any_size(tmp_path):
    """Sizes that are multiples of 32, and that are not, in the file traced at one of them."""

    class Halving(Network):
        def forward(self, image):
            return super().forward(image)[..., ::4, ::4]

    network = as_network(Halving(), size_divisor=32).eval()
    report = export(network, tmp_path / "a.pt2", input_size=(64, 96))
    assert report.fixed == ()
    exported = load_exported(tmp_path / "a.pt2")
    for size in ((64, 96), (65, 96), (40, 50)):
        image = torch.randn(1, 3, *size)
        torch.testing.assert_close(exported(image), network(image), rtol=1e-4, atol=1e-5)


def test_network_of_one_size(tmp_path):
    network = FixedSize().eval()
    report = export(network, tmp_path / "a.pt2", input_size=(32, 48))
    assert report.fixed == ("height", "width")
    assert "height, width fixed at [None, 3, 32, 48]" in str(report)
    exported = load_exported(tmp_path / "a.pt2")
    image = torch.randn(3, 3, 32, 48)
    torch.testing.assert_close(exported(image), network(image), rtol=1e-4, atol=1e-5)
    with pytest.raises(InputError, match=r"takes images \[any, 3, 32, 48\], not \[1, 3, 32, 64\]"):
        exported(torch.randn(1, 3, 32, 64))


def test_falls_back_to_one_size(tmp_path):
    class Branching(Network):
        """A branch on the number of pixels: traced on an even one, the file's guards refuse odd ones."""

        def forward(self, image):
            return super().forward(image) * (1.0 if image.shape[-1] * image.shape[-2] % 2 == 0 else -1.0)

    report = export(Branching(), tmp_path / "a.pt2", input_size=(32, 48))
    assert report.fixed == ("batch", "height", "width")
    assert load_exported(tmp_path / "a.pt2").description.input_shape == (1, 3, 32, 48)
    assert "Guard failed" in report.reason


def test_static_on_request(tmp_path):
    report = export(Network(), tmp_path / "a.pt2", input_size=(32, 48), dynamic=False)
    assert report.description.input_shape == (1, 3, 32, 48)
    assert report.fixed == ()  # nothing that was asked for is missing


def test_difference_above_tolerance_leaves_the_old_file(tmp_path, monkeypatch):
    (tmp_path / "a.pt2").write_text("old")
    load = export_module.load_exported

    def load_wrong(path):
        exported = load(path)
        run = exported._run[0]
        exported._run[0] = lambda image: run(image) + 0.5
        return exported

    monkeypatch.setattr(export_module, "load_exported", load_wrong)
    with pytest.raises(RuntimeError, match=r"not written, its logits .* differ from the network's by 0.5"):
        export(Network(), tmp_path / "a.pt2", input_size=(32, 48))
    assert (tmp_path / "a.pt2").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["a.pt2"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"path": "a.pth"}, r"a.pth: give the file the suffix .pt2"),
        ({"path": "missing/a.onnx"}, r"no such folder; create .*missing first"),
        ({"mean": (0.5,)}, "mean has 1 values for 3 channels"),
        ({"std": (0.5,) * 4}, "std has 4 values for 3 channels"),
        ({"input_size": (1, 64)}, r"input_size=\(1, 64\)"),
        ({"network": nn.Conv2d(3, 2, 3)}, r"returned \[2, 2, 254, 318\]"),
    ],
)
def test_bad_requests(tmp_path, arguments, message):
    arguments = {"network": Network(), "path": "a.pt2"} | arguments
    arguments["path"] = tmp_path / arguments["path"]
    with pytest.raises(InputError, match=message):
        export(**arguments)
    assert not list(tmp_path.iterdir())


def test_network_that_cannot_be_traced(tmp_path):
    class Unfit(Network):
        def forward(self, image):
            return super().forward(image) * (1 if image.mean().item() > 0 else 2)

    with pytest.raises(InputError, match=r"Unfit: torch.export cannot trace it") as caught:
        export(Unfit(), tmp_path / "a.pt2", input_size=(32, 48))
    assert "\n" not in str(caught.value)


def test_unreadable_files(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    with pytest.raises(InputError, match="no such file"):
        load_exported(path)
    path.write_bytes(b"neither")
    with pytest.raises(InputError, match="damaged, or not"):
        load_exported(path)
    if suffix == ".pt2":
        torch.export.save(torch.export.export(nn.ReLU(), (torch.zeros(2),)), path)
        with pytest.raises(InputError, match="does not describe itself"):
            load_exported(path)


def save_onnx(network, path, *, outputs=("score",)):
    """As others write it: names of their own, no description."""
    torch.onnx.export(
        network,
        (torch.zeros(2, 3, 32, 48),),
        path,
        input_names=["pixels"],
        output_names=list(outputs),
        dynamic_shapes={
            "image": {0: torch.export.Dim.AUTO, 2: torch.export.Dim.AUTO, 3: torch.export.Dim.AUTO}
        },
        dynamo=True,
        verbose=False,
    )


@pytest.mark.filterwarnings("ignore")  # of the exporter
def test_an_onnx_file_of_others(tmp_path):
    """Logits at a quarter of the size are resized; the picture is normalised as ImageNet's are."""
    pytest.importorskip("onnxscript")

    class Small(Network):
        def forward(self, image):
            return self.head(self.backbone(image))

    network = Small().eval()
    save_onnx(network, tmp_path / "theirs.onnx")
    exported = load_exported(tmp_path / "theirs.onnx")
    image = torch.randn(1, 3, 40, 64)
    expected = F.interpolate(network(image), image.shape[2:], mode="bilinear")
    torch.testing.assert_close(exported(image), expected, atol=1e-5, rtol=1e-4)
    assert exported.description.num_classes == 2
    assert exported.description.mean == pytest.approx((0.485, 0.456, 0.406))


@pytest.mark.filterwarnings("ignore")
def test_an_onnx_file_that_is_no_segmentation(tmp_path):
    pytest.importorskip("onnxscript")

    class Classifier(Network):
        def forward(self, image):
            return super().forward(image).mean((2, 3))

    save_onnx(Classifier().eval(), tmp_path / "theirs.onnx")
    with pytest.raises(
        InputError, match=r"an output \[B, K, h, w\] are needed, or .* it has pixels .*, score"
    ):
        load_exported(tmp_path / "theirs.onnx")


def test_onnx_without_its_packages(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    with pytest.raises(InputError, match=r"pip install tessella\[export\]"):
        export(Network(), tmp_path / "a.onnx", input_size=(32, 48))
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    (tmp_path / "b.onnx").touch()
    with pytest.raises(InputError, match=r"pip install tessella\[export\]"):
        load_exported(tmp_path / "b.onnx")


def test_onnx_without_cuda(tmp_path, monkeypatch):
    onnxruntime = pytest.importorskip("onnxruntime")
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"])
    (tmp_path / "a.onnx").touch()
    with pytest.raises(InputError, match="pip install onnxruntime-gpu"):
        load_exported(tmp_path / "a.onnx", device="cuda")


@pytest.mark.gpu
def test_on_cuda(tmp_path):
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    network = Network().cuda().eval()
    export(network, tmp_path / "a.pt2", input_size=(32, 48))
    assert next(network.parameters()).is_cuda
    image = torch.randn(1, 3, 40, 50)
    logits = load_exported(tmp_path / "a.pt2", device="cuda")(image)
    assert not logits.is_cuda  # where the image was
    torch.testing.assert_close(logits, network(image.cuda()).cpu(), rtol=1e-3, atol=1e-3)
