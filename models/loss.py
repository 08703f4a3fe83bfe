"""Training objectives: flow matching for the transformer, reconstruction and outlier penalty for the autoencoder."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from models.path import LinearPath
from models.shapes import FlowTime, Latent, Video


def velocity_error(
    predicted: Latent, noise: Latent, target: Latent, path: LinearPath, t: FlowTime
) -> Float[Tensor, " b"]:
    """Squared error of the velocity, a mean per sample, unweighted over time (Movie Gen, equation 2)."""
    error = predicted.float() - path.at(noise, target, t).velocity
    return error.square().mean(dim=(1, 2, 3, 4))


def outlier_penalty(latents: Latent, ratio: float) -> Float[Tensor, ""]:
    """Penalise latent positions further than `ratio` standard deviations from the mean (Movie Gen, equation 1).

    Time is folded into the batch; mean and standard deviation are over positions, norms over channels.
    """
    frames = latents.transpose(1, 2).flatten(0, 1).float()
    mean = frames.mean(dim=(2, 3), keepdim=True)
    spread = frames.std(dim=(2, 3), keepdim=True, unbiased=False).norm(dim=1)
    distance = (frames - mean).norm(dim=1)
    return (distance - ratio * spread).clamp(min=0).mean()


@dataclass(frozen=True)
class AutoencoderLoss:
    """The terms of the autoencoder's objective, before weighting."""

    reconstruction: Float[Tensor, ""]
    squared: Float[Tensor, ""]
    gradient: Float[Tensor, ""]
    kl: Float[Tensor, ""]
    outlier: Float[Tensor, ""]


def autoencoder_loss(
    video: Video, decoded: Video, mean: Latent, log_variance: Latent, outlier_ratio: float
) -> AutoencoderLoss:
    """Reconstruction (L1 and squared), image gradients (L1), KL to the unit normal, outliers.

    The paper adds perceptual and adversarial terms with unstated weights; image gradients stand in for sharpness here.
    """
    kl = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).float().mean()
    return AutoencoderLoss(
        reconstruction=F.l1_loss(decoded.float(), video),
        squared=F.mse_loss(decoded.float(), video),
        gradient=_gradient_error(decoded.float(), video),
        kl=kl,
        outlier=outlier_penalty(mean, outlier_ratio),
    )


def _gradient_error(decoded: Tensor, video: Tensor) -> Tensor:
    errors = [F.l1_loss(torch.diff(decoded, dim=axis), torch.diff(video, dim=axis)) for axis in (-1, -2)]
    return torch.stack(errors).mean()
