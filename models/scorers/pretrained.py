"""CLIP and X-CLIP through transformers, which reads no pictures for them without torchvision: that is done here."""

import importlib.metadata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import interpolate, normalize

from models.scorers.config import ClipConfig, PickConfig, XClipConfig
from models.scorers.protocol import Frames, ScorerError, TextEmbeddings
from models.weights import Bundle

CLASSES = {"clip": "CLIPModel", "pickscore": "CLIPModel", "xclip": "XCLIPModel"}
FILTERS = {2: "bilinear", 3: "bicubic"}  # PIL's numbers, in which a preprocessor names its filter
LEVELS = 255


@dataclass(frozen=True, eq=False)
class Pretrained:
    """A model with its tokenizer, and how its authors prepare pictures: side in pixels, filter, mean and deviation."""

    model: Any
    tokenizer: Any
    device: str
    batch: int
    side: int
    filter: str
    mean: tuple[float, ...]
    std: tuple[float, ...]
    revision: str

    def pixels(self, frames: Frames) -> Float[Tensor, "f 3 side side"]:
        """Frames with their shorter side scaled, cut to the square in the middle, and normalised.

        Rounded to grey levels after scaling, as an image library does before anything is normalised.
        """
        shown = rearrange(torch.from_numpy(frames.copy()), "f h w c -> f c h w").float()
        height, width = shown.shape[-2:]
        scale = self.side / min(height, width)
        size = [max(self.side, int(length * scale)) for length in (height, width)]
        scaled = interpolate(shown, size=size, mode=self.filter, align_corners=False, antialias=True)
        top, left = ((length - self.side) // 2 for length in size)
        square = scaled[..., top : top + self.side, left : left + self.side].clamp(0, LEVELS).round() / LEVELS
        mean, std = (square.new_tensor(values).reshape(1, 3, 1, 1) for values in (self.mean, self.std))
        return ((square - mean) / std).to(self.device)

    @torch.no_grad()
    def embed_texts(self, texts: Sequence[str]) -> TextEmbeddings:
        """Texts, cut at as many tokens as the model has positions for."""
        longest = int(self.model.config.text_config.max_position_embeddings)
        told = self.tokenizer(list(texts), padding=True, truncation=True, max_length=longest, return_tensors="pt")
        told = {name: told[name].to(self.device) for name in ("input_ids", "attention_mask")}
        return unit(self.model.get_text_features(**told))


def unit(found: Any) -> Float[Tensor, "b d"]:
    """The projected embeddings of an output of transformers, of length one, fp32, on the CPU."""
    return normalize(found.pooler_output.float(), dim=-1).cpu()


def load(config: ClipConfig | PickConfig | XClipConfig) -> Pretrained:
    """The model of a folder or hub id, frozen.

    Raises:
        ScorerError: there is no such folder or id, or it holds another model; the message names it.
    """
    import transformers
    from transformers.image_processing_base import ImageProcessingMixin

    transformers.utils.logging.disable_progress_bar()
    where, told = _located(config.kind, config.source)
    beside, told_beside = _located(config.kind, config.processor) if isinstance(config, PickConfig) else (where, told)
    try:
        model, info = getattr(transformers, CLASSES[config.kind]).from_pretrained(
            where, use_safetensors=True, output_loading_info=True, **told
        )
        tokenizer = transformers.AutoTokenizer.from_pretrained(beside, trust_remote_code=False, **told_beside)
        prepared, _ = ImageProcessingMixin.get_image_processor_dict(beside, **told_beside)
        looks = FILTERS[prepared["resample"]], tuple(prepared["image_mean"]), tuple(prepared["image_std"])
    except Exception as error:  # damaged files and unknown ids fail in many ways, each with an exception of its own
        reason = " ".join(str(error).split())[:300]
        raise ScorerError(
            f"scorer {config.kind} in {config.source}: {reason}; it needs config, safetensors, tokenizer and "
            "preprocessor_config.json"
        ) from error
    if info["missing_keys"]:
        # Another architecture loads without an error, its weights left at random.
        lacking = len(info["missing_keys"])
        raise ScorerError(f"scorer {config.kind} in {config.source}: {lacking} weights are missing; another model?")
    model = model.to(config.device).eval().requires_grad_(False)
    side = int(model.config.vision_config.image_size)
    return Pretrained(model, tokenizer, config.device, config.batch, side, *looks, _revision(config.kind, model))


def _located(kind: str, source: str) -> tuple[str, dict[str, Any]]:
    """A folder or hub id, and its revision as transformers takes it."""
    name, _, revision = source.partition("@")
    where = str(Path(name).expanduser())
    if name.startswith((".", "/", "~")) and not Path(where).is_dir():
        raise ScorerError(f"scorer {kind}: no folder {name}; put the model there or name another")
    return where, {"revision": revision} if revision else {}


def _revision(kind: str, model: Any) -> str:
    version = importlib.metadata.version("transformers")
    return f"{kind}-{Bundle(kind, model.state_dict(), {'transformers': version}, {}).digest()[:12]}"
