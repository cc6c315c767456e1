"""Anyone's segmentation model as a network: a float image in, logits of the image's size out.

What a model is becomes clear from what it returns, so no library is imported and none is named. One of:

- a tensor ``[B, K, h, w]``: the logits (segmentation_models_pytorch, a head on timm features, most modules);
- a tuple or list of tensors: the first are the logits, the others auxiliary (deep supervision);
- a mapping with ``out`` (torchvision) or ``logits`` (Hugging Face: SegFormer, UperNet, DPT, BEiT): these, and
  whatever else in it is ``[B, K, h, w]`` is auxiliary;
- a mapping with ``class_queries_logits`` and ``masks_queries_logits`` (Hugging Face: MaskFormer, Mask2Former,
  EoMT): ``query_log_scores`` of them.

Logits of another size than the image are resized bilinearly.
"""

from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from tessella.errors import InputError

Image = Float[Tensor, "batch channels height width"]
Logits = Float[Tensor, "batch classes height width"]

BACKBONES = ("backbone", "encoder", "model.pixel_level_module.encoder")
"""Where models keep their backbone: torchvision and UperNet, segmentation_models_pytorch, Mask2Former."""

PROBE_SIZE = (128, 160)
"""Height and width of the trial image: five halvings leave more than one pixel, and the sides differ."""

UNIVERSAL_DIVISOR = 32
"""What sizes are padded to a multiple of when a model refuses others: five halvings, as in most backbones."""


def as_network(
    module: nn.Module,
    num_classes: int | None = None,
    *,
    in_channels: int | None = None,
    size_divisor: int | None = None,
    backbone: str | None = None,
) -> "AdaptedNetwork":
    """Make a network of ``module``, whose ``forward(image)`` returns one of the forms above.

    The module is tried on an image of noise to learn what it returns; its parameters, buffers, mode and the
    random generators stay as they were.

    num_classes: what the logits must have; None accepts what the module returns.
    in_channels: channels of the image; None takes those of the module's first convolution, 3 without one.
    size_divisor: pad images at the bottom and right to multiples of this, repeating the edge, and crop the
        logits. None finds out: 1 if the module takes an odd size, else 32. Vision transformers with patches
        of 14 pixels want 14.
    backbone: dotted name of the pretrained part. None looks for ``BACKBONES``, then for what Hugging Face
        calls the base model; a module with none of them has no attribute ``backbone``.

    Returns an ``AdaptedNetwork``, with ``forward_with_auxiliary`` if the module has auxiliary outputs.
    Raises InputError if the module fails, or returns no logits ``[B, K, h, w]`` in the image's proportions.
    """
    in_channels = in_channels or _first_convolution_channels(module)
    if size_divisor is None:
        divisor = 1 if _accepts_odd_sizes(module, in_channels) else UNIVERSAL_DIVISOR
    else:
        divisor = size_divisor
    backbone_name = _find_backbone(module, backbone)

    height, width = (-(-side // divisor) * divisor for side in PROBE_SIZE)
    size = (height, width)
    outputs = _try(module, in_channels, size)
    logits = outputs[0]
    _check_proportions(logits, size)
    if num_classes is not None and logits.shape[1] != num_classes:
        raise InputError(
            f"{type(module).__name__} returns {logits.shape[1]} classes where {num_classes} are needed: "
            f"build it with {num_classes} classes"
        )
    if len(outputs) > 1 or _has_auxiliary_in_training(module, in_channels, size):
        return AdaptedNetworkWithAuxiliary(module, logits.shape[1], in_channels, divisor, backbone_name)
    return AdaptedNetwork(module, logits.shape[1], in_channels, divisor, backbone_name)


class AdaptedNetwork(nn.Module):
    """``wrapped`` as a network; built by ``as_network``.

    ``wrapped`` is the model itself, so ``wrapped.state_dict()`` has the keys its own library loads.
    """

    def __init__(
        self,
        module: nn.Module,
        num_classes: int,
        in_channels: int,
        size_divisor: int,
        backbone_name: str | None,
    ) -> None:
        super().__init__()
        self.wrapped = module
        self.num_classes = num_classes
        self.in_channels = in_channels
        self.size_divisor = size_divisor
        self._backbone_name = backbone_name

    @property
    def backbone(self) -> nn.Module:
        """The pretrained part of the wrapped model; AttributeError if it has none that is known."""
        if self._backbone_name is None:
            raise AttributeError(f"{type(self.wrapped).__name__} has no known backbone")
        return self.wrapped.get_submodule(self._backbone_name)

    def forward(self, image: Image) -> Logits:
        return self._outputs(image)[0]

    def _outputs(self, image: Image) -> tuple[Logits, ...]:
        height, width = image.shape[-2:]
        if self.size_divisor > 1:
            below, right = -height % self.size_divisor, -width % self.size_divisor
            image = F.pad(image, (0, right, 0, below), mode="replicate")
        size = (image.shape[-2], image.shape[-1])
        outputs = read_outputs(self.wrapped(image), size, type(self.wrapped).__name__)
        outputs = tuple(_resize(logits, size) for logits in outputs)
        if self.size_divisor > 1:
            outputs = tuple(_crop(logits, height, width) for logits in outputs)
        return outputs


class AdaptedNetworkWithAuxiliary(AdaptedNetwork):
    """An ``AdaptedNetwork`` whose model also has auxiliary heads."""

    def forward_with_auxiliary(self, image: Image) -> tuple[Logits, tuple[Logits, ...]]:
        """Logits, and those of the auxiliary heads, all ``[B, K, H, W]``."""
        logits, *auxiliary = self._outputs(image)
        return logits, tuple(auxiliary)


def read_outputs(output: object, image_size: tuple[int, int], name: str = "the model") -> tuple[Tensor, ...]:
    """Logits ``[B, K, h, w]`` and then those of auxiliary heads, from what a segmentation model returned.

    Raises InputError if ``output`` has none of the forms above.
    """
    candidates: list[object]
    if isinstance(output, Mapping):
        if "class_queries_logits" in output and "masks_queries_logits" in output:
            return (
                query_log_scores(output["class_queries_logits"], output["masks_queries_logits"], image_size),
            )
        key = next((key for key in ("out", "logits") if key in output), None)
        candidates = [] if key is None else [output[key], *(output[k] for k in output if k != key)]
    elif isinstance(output, tuple | list):
        candidates = list(output)
    else:
        candidates = [output]

    logits = candidates[0] if candidates else None
    if not isinstance(logits, Tensor) or logits.ndim != 4:
        raise InputError(
            f"{name} returned {_describe(output)} where logits [batch, classes, height, width] are needed: "
            "wrap it in a module whose forward returns them"
        )
    auxiliary = (
        other
        for other in candidates[1:]
        if isinstance(other, Tensor) and other.ndim == 4 and other.shape[1] == logits.shape[1]
    )
    return (logits, *auxiliary)


def query_log_scores(
    class_logits: Float[Tensor, "batch queries classes_and_none"],
    mask_logits: Float[Tensor, "batch queries h w"],
    size: tuple[int, int],
) -> Logits:
    """Per-pixel class scores of a model that predicts masks and a class for each, as logarithms.

    Every query q proposes a mask and classes with "no object" last. The score of class k at a pixel is
    sum_q softmax(class_q)_k sigmoid(mask_q), with the masks resized to ``size`` first (semantic inference of
    Cheng, Schwing, Kirillov: Per-pixel classification is not all you need for semantic segmentation, NeurIPS
    2021). The softmax of the logarithm normalises the scores over the classes.
    """
    classes = class_logits.softmax(dim=-1)[..., :-1]
    masks = _resize(mask_logits, size).sigmoid()
    scores = torch.einsum("bqk,bqhw->bkhw", classes, masks)
    return (scores + torch.finfo(scores.dtype).tiny).log()


def _resize(maps: Tensor, size: tuple[int, int]) -> Tensor:
    if (maps.shape[-2], maps.shape[-1]) == size:
        return maps
    return F.interpolate(maps, size=size, mode="bilinear", align_corners=False)


def _crop(maps: Tensor, height: int, width: int) -> Tensor:
    """``maps[..., :height, :width]`` as a copy: an export would fix whether a slice is contiguous."""
    rows = torch.arange(height, device=maps.device)
    columns = torch.arange(width, device=maps.device)
    return maps.index_select(-2, rows).index_select(-1, columns)


def _first_convolution_channels(module: nn.Module) -> int:
    for part in module.modules():
        if isinstance(part, nn.Conv2d):
            return part.in_channels
    return 3


def _find_backbone(module: nn.Module, name: str | None) -> str | None:
    modules = dict(module.named_modules())
    if name is None:
        base_model = getattr(
            module, "base_model_prefix", ""
        )  # "segformer" in SegformerForSemanticSegmentation
        return next((known for known in (*BACKBONES, base_model) if known and known in modules), None)
    if name not in modules:
        raise InputError(f"backbone={name!r}: {type(module).__name__} has no such part")
    return name


def _run_on_noise(
    module: nn.Module, in_channels: int, size: tuple[int, int], *, training: bool = False
) -> tuple[Tensor, ...]:
    """Outputs of ``module`` for two images of noise, without a trace in its buffers, modes or generators."""
    like = next(module.parameters(), torch.empty(0))
    modes = {part: part.training for part in module.modules()}
    buffers = {name: buffer.clone() for name, buffer in module.named_buffers()}
    try:
        with torch.random.fork_rng(devices=[like.device] if like.is_cuda else []), torch.no_grad():
            noise = torch.randn(2, in_channels, *size, device=like.device, dtype=like.dtype)
            output = torch.func.functional_call(module.train(training), buffers, (noise,))
    finally:
        for part, mode in modes.items():
            part.training = mode
    return read_outputs(output, size, type(module).__name__)


def _try(module: nn.Module, in_channels: int, size: tuple[int, int]) -> tuple[Tensor, ...]:
    try:
        return _run_on_noise(module, in_channels, size)
    except InputError:
        raise
    except Exception as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise InputError(
            f"{type(module).__name__} fails on an image [2, {in_channels}, {size[0]}, {size[1]}] ({reason}): "
            "if it takes other channels or sizes, give in_channels or size_divisor"
        ) from error


def _accepts_odd_sizes(module: nn.Module, in_channels: int) -> bool:
    try:
        _run_on_noise(module, in_channels, (PROBE_SIZE[0] + 1, PROBE_SIZE[1] + 1))
    except InputError:
        return True  # it ran; what it returned is judged later
    except Exception:  # whatever a foreign model raises for a size it cannot take
        return False
    return True


def _has_auxiliary_in_training(module: nn.Module, in_channels: int, size: tuple[int, int]) -> bool:
    try:
        return len(_run_on_noise(module, in_channels, size, training=True)) > 1
    except Exception:  # a model that wants labels in training can still predict
        return False


def _check_proportions(logits: Tensor, size: tuple[int, int]) -> None:
    """Catch channels-last outputs: height and width must be the image's, divided by one number."""
    height, width = logits.shape[-2:]
    if logits.shape[0] != 2 or abs(height * size[1] - width * size[0]) > size[0] + size[1]:
        raise InputError(
            f"the model returned {list(logits.shape)} for an image [2, C, {size[0]}, {size[1]}] where "
            "[batch, classes, height, width] is needed: move the classes to the second place"
        )


def _describe(output: object) -> str:
    if isinstance(output, Tensor):
        return f"a tensor {list(output.shape)}"
    if isinstance(output, Mapping):
        return f"a mapping with {', '.join(map(str, output)) or 'nothing'}"
    if isinstance(output, tuple | list):
        return f"{type(output).__name__} of {', '.join(map(_describe, output)) or 'nothing'}"
    return f"an object of type {type(output).__name__}"
