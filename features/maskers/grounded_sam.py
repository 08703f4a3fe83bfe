"""A thing by its name in a real clip: Grounding DINO finds it in a frame, SAM 2 follows it (Movie Gen Edit, 5.1.3).

Both come from transformers, which reads neither SAM 2's frames nor its boxes without torchvision: that is done here.
"""

import hashlib
import importlib.metadata
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import interpolate

from features.maskers.config import GroundedSamConfig
from features.maskers.protocol import MaskRejected, MaskTrack, bounded, checked

# ImageNet's, in which SAM 2 was trained.
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
BOX_CORNERS = (2, 3)  # the labels of a prompt's two points that make them the corners of a box


class MaskerError(RuntimeError):
    """A masker that cannot work at all; the message says what is wrong and what to do."""


@dataclass(frozen=True)
class Sighting:
    """Where a thing was found: a box (left, top, right, bottom) in shares of the frame, and the score of it."""

    frame: int
    box: tuple[float, float, float, float]
    score: float


class GroundedSamMasker:
    """Finds the thing in a few frames, takes the surest sighting, and follows it to both ends of the clip.

    The confidence is the score of that sighting times the mean probability that the thing is in sight.

    Raises:
        MaskerError: a folder or hub id is not there, or holds another model.
    """

    def __init__(self, config: GroundedSamConfig) -> None:
        self._config = config
        self._detector = _load(config, config.detector, "GroundingDinoForObjectDetection")
        self._tokenizer = _load(config, config.detector, "AutoTokenizer")
        self._resized = _load(config, config.detector, "GroundingDinoImageProcessorPil")
        self._tracker = _load(config, config.tracker, "Sam2VideoModel")
        weights = "-".join(_digest(model)[:12] for model in (self._detector, self._tracker))
        self.revision = f"grounded-sam-{weights}-{config.looks}"

    @torch.no_grad()
    def mask(self, frames: np.ndarray, thing: str) -> MaskTrack | MaskRejected:
        """The thing that its name fits best; one of several, where there are several."""
        name = " ".join(thing.lower().split()).strip(".")
        if not name:
            return MaskRejected(thing, "has no name")
        length = len(checked(frames))
        looked = sorted({round(place) for place in np.linspace(0, length - 1, min(self._config.looks, length))})
        found = max((self._sighting(frames, number, name) for number in looked), key=lambda one: one.score)
        if found.score < self._config.least_score:
            return MaskRejected(thing, "not found: score below", round(found.score, 4))
        logits, presence = self._followed(frames, found)
        size = frames.shape[1:3]
        soft = interpolate(logits, size=size, mode="bilinear", align_corners=False)[:, 0].sigmoid()
        # Out of sight there is no mask, whatever its logits are.
        soft = torch.where((presence > 0.5)[:, None, None], soft, 0.0)
        alpha = (soft * 255).round().to(torch.uint8).cpu().numpy()
        track = MaskTrack(thing, alpha, found.score * float(presence.mean()))
        return bounded(track, self._config.least_confidence, self._config.least_share, self._config.most_share)

    def _sighting(self, frames: np.ndarray, number: int, name: str) -> Sighting:
        pixels = self._resized(images=[frames[number]], return_tensors="pt").to(self._config.device)
        # Lower case and a full stop: what the detector was trained to read as the name of a thing.
        told = self._tokenizer(f"{name}.", return_tensors="pt", return_token_type_ids=True).to(self._config.device)
        seen = self._detector(pixel_values=pixels["pixel_values"], pixel_mask=pixels["pixel_mask"], **told)
        # A query's score is that of its best token; tokens that are not there have a logit of minus infinity.
        scores = seen.logits[0].sigmoid().amax(dim=-1)
        best = int(scores.argmax())
        x, y, width, height = (float(value) for value in seen.pred_boxes[0, best])
        box = (x - width / 2, y - height / 2, x + width / 2, y + height / 2)
        return Sighting(number, box, float(scores[best]))

    def _followed(self, frames: np.ndarray, found: Sighting) -> tuple[Float[Tensor, "f 1 h w"], Float[Tensor, " f"]]:
        """Logits of masks at the tracker's resolution, and the probability that the thing is in sight."""
        from transformers.models.sam2_video.modeling_sam2_video import Sam2VideoInferenceSession

        side, device = int(self._tracker.config.image_size), self._config.device
        height, width = frames.shape[1:3]
        session = Sam2VideoInferenceSession(
            video=prepared(frames, side), video_height=height, video_width=width,
            inference_device=device, inference_state_device=device, dtype=torch.float32,
        )  # fmt: skip
        corners = torch.tensor(found.box).reshape(1, 1, 2, 2) * side
        labels = torch.tensor(BOX_CORNERS, dtype=torch.int32).reshape(1, 1, 2)
        session.add_point_inputs(
            session.obj_id_to_idx(1), found.frame, {"point_coords": corners, "point_labels": labels}
        )
        session.obj_with_new_inputs = [1]
        seen = {found.frame: self._tracker(session, frame_idx=found.frame)}
        for reverse in (False, True):
            ways = self._tracker.propagate_in_video_iterator(session, start_frame_idx=found.frame, reverse=reverse)
            seen |= {one.frame_idx: one for one in ways}
        told = [seen[number] for number in range(len(frames))]
        presence = torch.cat([one.object_score_logits.reshape(1) for one in told]).float().sigmoid()
        return torch.cat([one.pred_masks for one in told]).float(), presence


def prepared(frames: np.ndarray, side: int) -> Float[Tensor, "f 3 side side"]:
    """Frames as SAM 2 reads them: stretched to a square, every channel by ImageNet's mean and deviation."""
    pixels = torch.from_numpy(frames.copy()).permute(0, 3, 1, 2).float() / 255
    square = interpolate(pixels, size=(side, side), mode="bilinear", align_corners=False, antialias=True)
    mean, std = (torch.tensor(values).reshape(1, 3, 1, 1) for values in (MEAN, STD))
    normal: Tensor = (square - mean) / std
    return normal


def _load(config: GroundedSamConfig, source: str, kind: str) -> Any:
    import transformers

    transformers.utils.logging.disable_progress_bar()
    name, _, revision = source.partition("@")
    where = str(Path(name).expanduser())
    if name.startswith((".", "/", "~")) and not Path(where).is_dir():
        raise MaskerError(f"{kind}: no folder {name}; put the model there or change its source in the config")
    told: dict[str, Any] = {"revision": revision} if revision else {}
    is_model = kind not in ("AutoTokenizer", "GroundingDinoImageProcessorPil")
    if is_model:
        told |= {"use_safetensors": True, "output_loading_info": True}
    try:
        loaded = getattr(transformers, kind).from_pretrained(where, **told)
    except Exception as error:  # damaged files and unknown ids fail in many ways, each with an exception of its own
        reason = " ".join(str(error).split())[:300]
        raise MaskerError(f"{kind} in {source}: {reason}; it needs the files that save_pretrained writes") from error
    if not is_model:
        return loaded
    model, info = loaded
    if info["missing_keys"]:
        # Another architecture loads without an error, its weights left at random.
        raise MaskerError(f"{kind} in {source}: {len(info['missing_keys'])} weights are missing; is it another model?")
    return model.to(config.device).eval().requires_grad_(False)


def _digest(model: Any) -> str:
    """Of the loaded weights, with the library that runs them."""
    found = hashlib.sha256(importlib.metadata.version("transformers").encode())
    for name, values in sorted(model.state_dict().items()):
        found.update(name.encode())
        found.update(values.detach().cpu().reshape(-1).view(torch.uint8).numpy().tobytes())
    return found.hexdigest()
