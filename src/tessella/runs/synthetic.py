"""Synthetic features in the training of a segmentation network (thesis, chapter 6)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor
from torch.utils.data import DataLoader

from tessella.datasets import SegmentationDataset, class_names
from tessella.datasets.copy_paste import CopyPaste
from tessella.datasets.label_maps import LabelMaps
from tessella.datasets.loading import (
    Beside,
    BlendedStream,
    SampleStream,
    collate,
    from_second,
    stream_loader,
)
from tessella.datasets.transforms import Transform
from tessella.errors import InputError
from tessella.feature_synthesis.split import Outputs, Split
from tessella.networks.normalized import Normalized
from tessella.runs.asking import fingerprint
from tessella.training.extra import Extra
from tessella.training.losses import SegmentationLoss

if TYPE_CHECKING:
    from tessella.runs.feature_gan import TrainedGenerator


@dataclass(frozen=True)
class Synthetic:
    """What is trained on beside the real images of each batch.

    generator: run or checkpoint of a generator of features; empty for real images again, which is the control
    ratio: share of synthetic samples in a batch; they come beside batch_size real ones
    label_smoothing: of features alone; real images have the run's own label_smoothing
    keep_statistics: batch normalisation stays as it was, where a generator makes features
    hard: batches whose hardest real images give the layouts of the next so many; 0 for layouts as they come
    filter: leaves out pixels whose loss is so many times the mean of their class; 0 for none
    copy_paste: share of the layouts over which half of another's segments is laid; images are left alone
    auxiliary_norms: batch normalisation of the synthetic part has a scale and shift of its own, and goes by the batch
    masks_data: a folder of further layouts (PNGs of class ids), or of the data set that masks names; empty for none
    masks: the name of that data set, which has the same classes; without a generator its images are trained on
    masks_split: its split
    masks_share: of the layouts that come from it
    """

    generator: str = ""
    ratio: float = 0.3
    label_smoothing: float = 1e-4
    keep_statistics: bool = True
    hard: int = 0
    filter: float = 0.0
    copy_paste: float = 0.0
    auxiliary_norms: bool = False
    masks_data: str = ""
    masks: Callable[..., SegmentationDataset] | None = None
    masks_split: str = "train"
    masks_share: float = 0.25

    def __post_init__(self) -> None:
        for holds, otherwise in (
            (0 < self.ratio < 1, f"ratio {self.ratio}: give more than 0 and less than 1"),
            (self.hard >= 0, f"hard {self.hard}: give 0 or more batches"),
            (self.filter >= 0, f"filter {self.filter}: give 0 or more"),
            (0 <= self.copy_paste <= 1, f"copy_paste {self.copy_paste}: give 0 to 1"),
            (
                not (self.hard and self.copy_paste),
                "copy_paste: the layouts of hard images are as these images are; give --synthetic.hard 0",
            ),
            (0 <= self.masks_share <= 1, f"masks_share {self.masks_share}: give 0 to 1"),
        ):
            if not holds:
                raise InputError(f"synthetic.{otherwise}")

    def number(self, batch_size: int) -> int:
        """Of synthetic samples beside ``batch_size`` real ones."""
        return max(1, round(batch_size * self.ratio / (1 - self.ratio)))

    def extra(
        self,
        network: Normalized,
        loss: SegmentationLoss,
        batch_size: int,
        train_set: SegmentationDataset,
        stream: SampleStream,
        resume: bool,
        trusted: Sequence[str],
    ) -> Extra:
        """For the training of ``network``, which has its initial weights unless it is resumed.

        stream: of the real samples. trusted: packages whose classes the generator's run may name.
        Raises InputError where the generator is for other weights or classes, and where what is named is not all there.
        """
        if self.masks and not self.masks_data:
            raise InputError(
                "synthetic.masks names a data set: give --synthetic.masks_data too, the folder it is in"
            )
        if self.masks_data and not self.masks and not self.generator:
            raise InputError(
                f"synthetic.masks_data {self.masks_data}: label maps alone need --synthetic.generator, which makes "
                "features of them; of a data set that has images too, give the name as --synthetic.masks"
            )
        trained = self._load(network, train_set, resume, trusted) if self.generator else None
        return Extra(
            loss=loss,
            weight=self.number(batch_size) / batch_size,
            decode=None if trained is None else partial(_decode, trained, trained.halves_of(network)),
            hard=self.hard,
            recall=partial(_recall, stream) if self.hard else None,
            kept=partial(from_second, share=self.masks_share, seed=_of_layouts(stream.seed))
            if self.masks_data
            else None,
            filter=self.filter,
            auxiliary_norms=self.auxiliary_norms,
            source="" if trained is None else fingerprint(trained.generator),
        )

    def _load(
        self, network: Normalized, train_set: SegmentationDataset, resume: bool, trusted: Sequence[str]
    ) -> "TrainedGenerator":
        from tessella.runs.feature_gan import load_generator  # which reads configurations that hold this one

        trained = load_generator(self.generator, trusted)
        if class_names(trained.classes) != class_names(train_set.classes):
            raise InputError(
                f"synthetic.generator {self.generator} makes features of the classes "
                f"{', '.join(class_names(trained.classes))}; the data set has "
                f"{', '.join(class_names(train_set.classes))}"
            )
        if not resume:
            trained.require_for(
                network, f"synthetic.generator {self.generator} (--weights names the network)"
            )
        return trained

    def beside(
        self,
        main: DataLoader[Any],
        train_set: SegmentationDataset,
        transform: Transform,
        batch_size: int,
        **options: Any,
    ) -> Beside:
        """The batches of ``main`` with layouts beside them, drawn apart.

        options: seed, workers, start, rank, world_size, as of ``training_loader``.
        """
        seed = _of_layouts(options.pop("seed"))
        if self.copy_paste:
            transform = CopyPaste(transform, train_set, self.copy_paste)
        stream: Any = SampleStream(train_set, transform, seed)
        if self.masks_data:
            further = SampleStream(self._further(train_set), transform, seed)
            stream = BlendedStream(stream, further, self.masks_share, seed)
        return Beside(main, stream_loader(stream, self.number(batch_size), **options))

    def _further(self, train_set: SegmentationDataset) -> SegmentationDataset:
        if self.masks is None:
            like = train_set[0].image
            return LabelMaps(self.masks_data, train_set.classes, channels=like.shape[2], dtype=like.dtype)
        masks = self.masks(Path(self.masks_data), self.masks_split)
        if class_names(masks.classes) != class_names(train_set.classes):
            raise InputError(f"synthetic.masks: {self.masks_data} has other classes than the training data")
        return masks


def _of_layouts(seed: int) -> int:
    """They come in another order than the images of that seed."""
    return seed + 1_000_000


def _decode(trained: "TrainedGenerator", halves: Split, labels: Tensor) -> Outputs:
    """What is behind the cut makes of features with a new code for each layout."""
    height, width = labels.shape[1:]
    return halves.decode_all(trained.make(labels, trained.draw(labels)), (height, width))


def _recall(stream: SampleStream, position: int) -> tuple[Tensor, Tensor]:
    batch = collate([stream[position]])
    return batch["image"][0], batch["labels"][0]
