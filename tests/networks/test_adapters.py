"""Foreign models as networks: every form of output, and the Hugging Face models that have them."""

import copy
from collections import OrderedDict

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from tessella.errors import InputError
from tessella.networks.adapters import as_network, query_log_scores, read_outputs


class Model(nn.Module):
    """A convolutional model at an eighth of the resolution, whose outputs ``form`` arranges."""

    def __init__(self, form=lambda logits, auxiliary: logits, in_channels=3, num_classes=5):
        super().__init__()
        self.backbone = nn.Sequential(nn.Conv2d(in_channels, 8, 8, stride=8), nn.BatchNorm2d(8), nn.ReLU())
        self.head = nn.Conv2d(8, num_classes, 1)
        self.auxiliary = nn.Conv2d(8, num_classes, 1)
        self.dropout = nn.Dropout(0.5)
        self.form = form

    def forward(self, image):
        features = self.dropout(self.backbone(image))
        return self.form(self.head(features), self.auxiliary(features))


FORMS = {
    "tensor": lambda logits, auxiliary: logits,
    "tuple": lambda logits, auxiliary: (logits, auxiliary),
    "list": lambda logits, auxiliary: [logits],
    "out": lambda logits, auxiliary: OrderedDict(aux=auxiliary, out=logits),
    "logits": lambda logits, auxiliary: {"loss": None, "logits": logits},
    "image labels beside": lambda logits, auxiliary: (logits, logits.mean((2, 3))),
}


@pytest.mark.parametrize("form", FORMS)
def test_forms(form):
    model = Model(FORMS[form]).eval()
    network = as_network(model, num_classes=5)
    image = torch.randn(2, 3, 37, 61)
    features = model.backbone(image)
    expected = F.interpolate(model.head(features), size=(37, 61), mode="bilinear")
    torch.testing.assert_close(network(image), expected)
    if form in ("tuple", "out"):
        logits, auxiliary = network.forward_with_auxiliary(image)
        torch.testing.assert_close(logits, expected)
        torch.testing.assert_close(
            auxiliary, (F.interpolate(model.auxiliary(features), size=(37, 61), mode="bilinear"),)
        )
    else:
        assert not hasattr(network, "forward_with_auxiliary")


def test_auxiliary_only_in_training():
    model = Model()
    model.form = lambda logits, auxiliary: (logits, auxiliary) if model.training else logits
    network = as_network(model).train()
    image = torch.randn(2, 3, 16, 16)
    logits, (auxiliary,) = network.forward_with_auxiliary(image)
    assert logits.shape == auxiliary.shape == (2, 5, 16, 16)
    assert network.eval().forward_with_auxiliary(image)[1] == ()


def test_leaves_no_trace():
    model = Model().train()
    model.head.eval()
    before = copy.deepcopy(model.state_dict())
    random_state = torch.get_rng_state()
    as_network(model)
    torch.testing.assert_close(model.state_dict(), before)
    torch.testing.assert_close(torch.get_rng_state(), random_state)
    assert model.training
    assert not model.head.training


def test_state_dict_of_the_wrapped_model():
    model = Model()
    network = as_network(model)
    assert list(network.wrapped.state_dict()) == list(model.state_dict())
    assert list(network.state_dict()) == [f"wrapped.{key}" for key in model.state_dict()]


def test_model_that_wants_multiples_of_32():
    class Strict(Model):
        def forward(self, image):
            if image.shape[-2] % 32 or image.shape[-1] % 32:
                raise RuntimeError("Wrong input shape")
            return super().forward(image)

    network = as_network(Strict()).eval()
    assert network.size_divisor == 32
    image = torch.randn(1, 3, 40, 64)
    padded = torch.cat([image, image[:, :, -1:].expand(-1, -1, 24, -1)], dim=2)
    expected = F.interpolate(network.wrapped(padded), size=(64, 64), mode="bilinear")[:, :, :40]
    torch.testing.assert_close(network(image), expected)


def test_given_size_divisor():
    class Patches(Model):
        def forward(self, image):
            assert image.shape[-2] % 14 == 0, "height is not a multiple of 14"
            return super().forward(image)

    with pytest.raises(InputError, match=r"multiple of 14.*size_divisor"):
        as_network(Patches())
    assert as_network(Patches(), size_divisor=14)(torch.zeros(1, 3, 30, 30)).shape == (1, 5, 30, 30)


def test_backbone():
    model = Model()
    assert as_network(model).backbone is model.backbone
    assert as_network(model, backbone="head").backbone is model.head
    assert not hasattr(as_network(nn.Conv2d(3, 2, 1)), "backbone")
    with pytest.raises(InputError, match="backbone='trunk'"):
        as_network(model, backbone="trunk")
    # The same parameters once, and under the wrapped model's names alone.
    assert len(list(as_network(model).parameters())) == len(list(model.parameters()))


def test_channels():
    assert as_network(Model(in_channels=6)).in_channels == 6
    assert as_network(nn.Identity()).num_classes == 3  # no convolution, three channels
    assert as_network(nn.Identity(), in_channels=4).num_classes == 4


@pytest.mark.parametrize(
    ("form", "message"),
    [
        (lambda logits, auxiliary: logits.mean((2, 3)), r"a tensor \[2, 5\]"),
        (lambda logits, auxiliary: {"masks": logits}, "a mapping with masks"),
        (lambda logits, auxiliary: {"logits": logits.flatten(1)}, "a mapping with logits"),
        (lambda logits, auxiliary: (None, logits), "tuple of an object of type NoneType"),
        (lambda logits, auxiliary: (), "tuple of nothing"),
        (lambda logits, auxiliary: None, "an object of type NoneType"),
        (lambda logits, auxiliary: logits.permute(0, 2, 3, 1), "move the classes to the second place"),
        (lambda logits, auxiliary: logits[:1], r"\[1, 5, 16, 20\]"),
    ],
)
def test_unusable_outputs(form, message):
    with pytest.raises(InputError, match=message) as caught:
        as_network(Model(form))
    assert "\n" not in str(caught.value)


def test_wrong_number_of_classes_and_failing_model():
    with pytest.raises(InputError, match="returns 5 classes where 19 are needed"):
        as_network(Model(), num_classes=19)
    with pytest.raises(InputError, match="give in_channels"):
        as_network(Model(), in_channels=4)


def test_query_log_scores_by_loops():
    generator = torch.Generator().manual_seed(0)
    class_logits = torch.randn(2, 4, 4, generator=generator, dtype=torch.float64, requires_grad=True)
    mask_logits = torch.randn(2, 4, 3, 5, generator=generator, dtype=torch.float64, requires_grad=True)
    result = query_log_scores(class_logits, mask_logits, (3, 5))
    assert result.shape == (2, 3, 3, 5)
    for b in range(2):
        for k in range(3):
            for y in range(3):
                for x in range(5):
                    score = sum(
                        class_logits[b, q].exp()[k]
                        / class_logits[b, q].exp().sum()
                        / (1 + (-mask_logits[b, q, y, x]).exp())
                        for q in range(4)
                    )
                    torch.testing.assert_close(result[b, k, y, x], score.log())
    assert torch.autograd.gradcheck(
        lambda c, m: query_log_scores(c, m, (4, 6)), (class_logits, mask_logits), fast_mode=True
    )


def test_query_log_scores_stay_finite():
    scores = query_log_scores(torch.zeros(1, 2, 4), torch.full((1, 2, 3, 3), -1e4), (3, 3))
    assert scores.isfinite().all()
    torch.testing.assert_close(scores.softmax(1), torch.full((1, 3, 3, 3), 1 / 3))


def test_read_outputs_names_the_model():
    with pytest.raises(InputError, match="DINO returned"):
        read_outputs(torch.zeros(3), (8, 8), "DINO")


def swin_config(transformers):
    return transformers.SwinConfig(
        embed_dim=8,
        depths=[1, 1, 1, 1],
        num_heads=[1, 1, 2, 2],
        window_size=4,
        out_features=["stage1", "stage2", "stage3", "stage4"],
    )


def segformer(transformers):
    config = transformers.SegformerConfig(
        num_labels=5,
        depths=[1, 1, 1, 1],
        hidden_sizes=[8, 16, 24, 32],
        num_attention_heads=[1, 1, 2, 2],
        decoder_hidden_size=16,
    )
    return transformers.SegformerForSemanticSegmentation(config), "segformer"


def upernet_resnet(transformers):
    backbone = transformers.ResNetConfig(
        embedding_size=8,
        hidden_sizes=[8, 16, 24, 32],
        depths=[1, 1, 1, 1],
        layer_type="basic",
        out_features=["stage1", "stage2", "stage3", "stage4"],
    )
    config = transformers.UperNetConfig(
        backbone_config=backbone,
        hidden_size=16,
        num_labels=5,
        auxiliary_in_channels=24,
        auxiliary_channels=8,
    )
    return transformers.UperNetForSemanticSegmentation(config), "backbone"


def upernet_swin(transformers):
    config = transformers.UperNetConfig(
        backbone_config=swin_config(transformers),
        hidden_size=16,
        num_labels=5,
        auxiliary_in_channels=32,
        auxiliary_channels=8,
    )
    return transformers.UperNetForSemanticSegmentation(config), "backbone"


def mask2former(transformers):
    config = transformers.Mask2FormerConfig(
        backbone_config=swin_config(transformers),
        num_labels=5,
        hidden_dim=32,
        feature_size=32,
        mask_feature_size=32,
        encoder_layers=1,
        decoder_layers=2,
        num_attention_heads=2,
        dim_feedforward=16,
        encoder_feedforward_dim=16,
        num_queries=6,
    )
    model = transformers.Mask2FormerForUniversalSegmentation(config)
    return model, "model.pixel_level_module.encoder"


@pytest.mark.parametrize("build", [segformer, upernet_resnet, upernet_swin, mask2former])
def test_hugging_face(build):
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    model, backbone = build(transformers)
    network = as_network(model, num_classes=5)
    assert network.backbone is model.get_submodule(backbone)

    image = torch.randn(2, 3, 65, 97)
    labels = torch.randint(0, 5, (2, 65, 97))
    network.train()
    heads = [p for p in network.parameters() if all(p is not q for q in network.backbone.parameters())]
    optimizer = torch.optim.SGD(
        [{"params": network.backbone.parameters()}, {"params": heads, "lr": 1e-2}], 1e-3
    )
    loss = F.cross_entropy(network(image), labels)
    loss.backward()
    optimizer.step()
    assert loss.isfinite()
    assert any(p.grad is not None and p.grad.abs().sum() > 0 for p in network.backbone.parameters())

    network.eval()
    with torch.no_grad():
        logits = network(image)
        assert logits.shape == (2, 5, 65, 97)
        output = model(image)
    if "class_queries_logits" in output:
        expected = output.class_queries_logits.softmax(-1)[..., :5].transpose(1, 2) @ F.interpolate(
            output.masks_queries_logits, size=(65, 97), mode="bilinear"
        ).sigmoid().flatten(2)
        torch.testing.assert_close(logits.flatten(2).exp(), expected)
    else:
        expected = F.interpolate(output.logits, size=(65, 97), mode="bilinear")
        torch.testing.assert_close(logits, expected)


def test_compile_traces_the_adapter():
    """One graph, without a break; the code generator is left out, it takes longer than the test is worth."""
    network = as_network(Model(FORMS["out"]), size_divisor=32).eval()
    compiled = torch.compile(network, backend="eager", fullgraph=True)
    image = torch.randn(1, 3, 40, 72)
    torch.testing.assert_close(compiled(image), network(image))
