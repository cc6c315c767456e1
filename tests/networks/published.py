"""Names and shapes of published weights."""

from collections.abc import Iterator

Names = Iterator[tuple[str, tuple[int, ...]]]


def conv(name: str, out: int, into: int, kernel: int) -> Names:
    yield f"{name}.weight", (out, into, kernel, kernel)


def norm(name: str, channels: int) -> Names:
    for part in ("weight", "bias", "running_mean", "running_var"):
        yield f"{name}.{part}", (channels,)
    yield f"{name}.num_batches_tracked", ()


def resnet_names(depth: int, deep_stem: bool = False) -> Names:
    """torchvision's; with a deep stem, those of the public PSPNet release."""
    if deep_stem:
        for index, (out, into) in enumerate(((64, 3), (64, 64), (128, 64)), start=1):
            yield from conv(f"conv{index}", out, into, 3)
            yield from norm(f"bn{index}", out)
        into = 128
    else:
        yield from conv("conv1", 64, 3, 7)
        yield from norm("bn1", 64)
        into = 64
    blocks = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3)}[depth]
    for stage, (num_blocks, width) in enumerate(zip(blocks, (64, 128, 256, 512), strict=True), start=1):
        out = width if depth < 50 else 4 * width
        for index in range(num_blocks):
            name = f"layer{stage}.{index}"
            if depth < 50:
                shapes = [(width, into, 3), (width, width, 3)]
            else:
                shapes = [(width, into, 1), (width, width, 3), (out, width, 1)]
            for number, shape in enumerate(shapes, start=1):
                yield from conv(f"{name}.conv{number}", *shape)
                yield from norm(f"{name}.bn{number}", shape[0])
            if index == 0 and (stage > 1 or into != out):
                yield from conv(f"{name}.downsample.0", out, into, 1)
                yield from norm(f"{name}.downsample.1", out)
            into = out
    yield "fc.weight", (1000, into)
    yield "fc.bias", (1000,)


def vgg_names() -> Names:
    """torchvision's vgg16."""
    index, into = 0, 3
    for out in (64, 64, "M", 128, 128, "M", 256, 256, 256, "M", 512, 512, 512, "M", 512, 512, 512, "M"):
        if out == "M":
            index += 1
            continue
        yield from conv(f"features.{index}", out, into, 3)
        yield f"features.{index}.bias", (out,)
        index, into = index + 2, out
    for index, (out, into) in {0: (4096, 25088), 3: (4096, 4096), 6: (1000, 4096)}.items():
        yield f"classifier.{index}.weight", (out, into)
        yield f"classifier.{index}.bias", (out,)


def mobilenet_names() -> Names:
    """torchvision's mobilenet_v2."""
    yield from conv("features.0.0", 32, 3, 3)
    yield from norm("features.0.1", 32)
    block, into = 1, 32
    for expansion, out, repeats in (
        *((1, 16, 1), (6, 24, 2), (6, 32, 3), (6, 64, 4)),
        *((6, 96, 3), (6, 160, 3), (6, 320, 1)),
    ):
        for _ in range(repeats):
            name, part, hidden = f"features.{block}.conv", 0, into * expansion
            if expansion > 1:
                yield from conv(f"{name}.0.0", hidden, into, 1)
                yield from norm(f"{name}.0.1", hidden)
                part = 1
            yield from conv(f"{name}.{part}.0", hidden, 1, 3)
            yield from norm(f"{name}.{part}.1", hidden)
            yield from conv(f"{name}.{part + 1}", out, hidden, 1)
            yield from norm(f"{name}.{part + 2}", out)
            block, into = block + 1, out
    yield from conv("features.18.0", 1280, 320, 1)
    yield from norm("features.18.1", 1280)
    yield "classifier.1.weight", (1000, 1280)
    yield "classifier.1.bias", (1000,)


def xception_names(depth: int) -> Names:
    """timm's xception65 and xception71."""
    for index, (out, into) in enumerate(((32, 3), (64, 32))):
        yield from conv(f"stem.{index}.conv", out, into, 3)
        yield from norm(f"stem.{index}.bn", out)
    entry = [(128, True), (256, True), (728, True)]
    if depth == 71:
        entry = [(128, True), (256, False), (256, True), (728, False), (728, True)]
    blocks = [((out,) * 3, strided) for out, strided in entry] + [((728, 728, 728), False)] * 16
    blocks += [((728, 1024, 1024), True), ((1536, 1536, 2048), False)]
    into = 64
    for block, (channels, strided) in enumerate(blocks):
        last = block == len(blocks) - 1
        if not last and (strided or into != channels[-1]):
            yield from conv(f"blocks.{block}.shortcut.conv", channels[-1], into, 1)
            yield from norm(f"blocks.{block}.shortcut.bn", channels[-1])
        for index, out in enumerate(channels, start=1):
            name = f"blocks.{block}.stack.conv{index}"
            yield from conv(f"{name}.conv_dw", into, 1, 3)
            yield from norm(f"{name}.bn_dw", into)
            yield from conv(f"{name}.conv_pw", out, into, 1)
            yield from norm(f"{name}.bn_pw", out)
            into = out
    yield "head.fc.weight", (1000, 2048)
    yield "head.fc.bias", (1000,)


def pspnet_head_names(num_classes: int) -> Names:
    """Those of PSPNet's public PyTorch release."""
    for level in range(4):
        yield from conv(f"ppm.features.{level}.1", 512, 2048, 1)
        yield from norm(f"ppm.features.{level}.2", 512)
    for head, into, width in (("cls", 4096, 512), ("aux", 1024, 256)):
        yield from conv(f"{head}.0", width, into, 3)
        yield from norm(f"{head}.1", width)
        yield from conv(f"{head}.4", num_classes, width, 1)
        yield f"{head}.4.bias", (num_classes,)


def pspnet_names(depth: int, num_classes: int) -> Names:
    """Those of PSPNet's public PyTorch release, which keeps its stem, rectifiers included, in ``layer0``."""
    places = {"conv1": 0, "bn1": 1, "conv2": 3, "bn2": 4, "conv3": 6, "bn3": 7}
    for name, shape in resnet_names(depth, deep_stem=True):
        layer, _, rest = name.partition(".")
        if layer != "fc":
            yield f"layer0.{places[layer]}.{rest}" if layer in places else name, shape
    yield from pspnet_head_names(num_classes)


def torchvision_fcn_names(num_classes: int) -> Names:
    """torchvision's fcn_resnet50 with its auxiliary head."""
    for name, shape in resnet_names(50):
        if not name.startswith("fc."):
            yield f"backbone.{name}", shape
    for head, into in (("classifier", 2048), ("aux_classifier", 1024)):
        yield from conv(f"{head}.0", into // 4, into, 3)
        yield from norm(f"{head}.1", into // 4)
        yield from conv(f"{head}.4", num_classes, into // 4, 1)
        yield f"{head}.4.bias", (num_classes,)
