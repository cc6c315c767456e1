"""Reads data sets in their official on-disk layouts: labelled images, and images with what they are generated from."""

from tessella.datasets.ade20k import ADE20K
from tessella.datasets.bdd100k import BDD100K
from tessella.datasets.camvid import CamVid
from tessella.datasets.cityscapes import Cityscapes, CityscapesVideo
from tessella.datasets.folders import Folders
from tessella.datasets.helen import HelenFaces
from tessella.datasets.joined import Joined
from tessella.datasets.lfw import LFW
from tessella.datasets.listed import Listed
from tessella.datasets.mapillary_vistas import MapillaryVistas
from tessella.datasets.nyudv2 import NYUDv2
from tessella.datasets.nyudv2_frames import NYUDv2Frames
from tessella.datasets.oxford_pets import OxfordPetHeads
from tessella.datasets.paired_folders import PairedFolders
from tessella.datasets.pairs import Pair, PairedDataset
from tessella.datasets.prepared import Prepared
from tessella.datasets.sample import IGNORE_INDEX, LabelClass, Sample, SegmentationDataset, class_names
from tessella.datasets.split_folders import SplitFolders
from tessella.datasets.sun3d import SUN3D
from tessella.datasets.synscapes import Synscapes

__all__ = [
    "ADE20K",
    "BDD100K",
    "IGNORE_INDEX",
    "LFW",
    "SUN3D",
    "CamVid",
    "Cityscapes",
    "CityscapesVideo",
    "Folders",
    "HelenFaces",
    "Joined",
    "LabelClass",
    "Listed",
    "MapillaryVistas",
    "NYUDv2",
    "NYUDv2Frames",
    "OxfordPetHeads",
    "Pair",
    "PairedDataset",
    "PairedFolders",
    "Prepared",
    "Sample",
    "SegmentationDataset",
    "SplitFolders",
    "Synscapes",
    "class_names",
]
