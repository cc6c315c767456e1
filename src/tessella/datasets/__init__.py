"""Reads segmentation data sets in their official on-disk layouts."""

from tessella.datasets.sample import IGNORE_INDEX, LabelClass, Sample, SegmentationDataset

__all__ = ["IGNORE_INDEX", "LabelClass", "Sample", "SegmentationDataset"]
