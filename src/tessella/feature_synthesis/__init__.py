"""Dense CNN features made from label maps, and what they are good for (thesis, chapter 6).

>>> split(network, "backbone.layer3.1")            # encoder and decoder of any network
>>> FeatureGenerator(12, 128)(layouts, codes)      # features of layouts
"""

from tessella.feature_synthesis.generator import FeatureDiscriminator, FeatureGenerator
from tessella.feature_synthesis.isda import ISDA
from tessella.feature_synthesis.layouts import one_hot_layout
from tessella.feature_synthesis.pseudo import pseudo_labels
from tessella.feature_synthesis.split import Split, split

__all__ = [
    "ISDA",
    "FeatureDiscriminator",
    "FeatureGenerator",
    "Split",
    "one_hot_layout",
    "pseudo_labels",
    "split",
]
