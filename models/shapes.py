"""The one legend of tensor shapes.

b batch, f video frames, l latent frames, c latent channels, h height and w width in pixels, y and x in latent cells,
n transformer tokens, d transformer width, s text tokens, e text-encoder width. `t` is flow time, never frames.
Videos are RGB in [-1, 1]; flow time is 0 at noise and 1 at video.
"""

from dataclasses import dataclass

from jaxtyping import Bool, Float, Int
from torch import Tensor

Video = Float[Tensor, "b 3 f h w"]
Latent = Float[Tensor, "b c l y x"]
BackboneInput = Float[Tensor, "b channels l y x"]  # latents, doubled in channels once the backbone is widened
FlowTime = Float[Tensor, " b"]
TaskIds = Int[Tensor, " b"]
FrameOffsets = Int[Tensor, " b"]
Tokens = Float[Tensor, "b n d"]
TextStates = Float[Tensor, "b s e"]
TextMask = Bool[Tensor, "b s"]


@dataclass(frozen=True)
class LatentShape:
    """Shape of one clip's latents: channels, latent frames, height, width."""

    channels: int
    frames: int
    height: int
    width: int

    @classmethod
    def of_pixels(cls, channels: int, frames: int, height: int, width: int, factor: int) -> "LatentShape":
        """Of so many latent frames of `height` x `width` pixels under a spatial factor.

        Raises:
            ValueError: height or width is not a multiple of the factor.
        """
        if height % factor or width % factor:
            raise ValueError(f"{height}x{width} is not a multiple of {factor} pixels")
        return cls(channels, frames, height // factor, width // factor)

    def as_tuple(self) -> tuple[int, int, int, int]:
        return self.channels, self.frames, self.height, self.width

    def tokens(self, patch: int) -> int:
        """Number of transformer tokens under a patch of (1, patch, patch) (Movie Gen, section 3.1.3)."""
        return self.frames * (self.height // patch) * (self.width // patch)
