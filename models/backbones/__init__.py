"""Backbones behind one small protocol: the velocity of a text-to-video model, with a seam for the editing parts."""
