"""Spatio-temporal data-driven pooling: what it needs of pictures, and its layers (thesis, chapter 3)."""

from tessella.pooling.correspondence import correspondences
from tessella.pooling.depth import fill_depth
from tessella.pooling.flow import interpolated_flow, optical_flow
from tessella.pooling.hha import hha
from tessella.pooling.layers import SpatioTemporalPooling, region_to_pixel, spatial_pool, temporal_pool
from tessella.pooling.superpixels import RegionHierarchy, boundary_strength, region_hierarchy, superpixels
from tessella.pooling.upsampled import RegionMatrix, pool_upsampled, region_matrix

__all__ = [
    "RegionHierarchy",
    "RegionMatrix",
    "SpatioTemporalPooling",
    "boundary_strength",
    "correspondences",
    "fill_depth",
    "hha",
    "interpolated_flow",
    "optical_flow",
    "pool_upsampled",
    "region_hierarchy",
    "region_matrix",
    "region_to_pixel",
    "spatial_pool",
    "superpixels",
    "temporal_pool",
]
