"""Maskers: where a thing is in every frame of a clip, for instruction-guided segmentation."""
