"""Build models from configs and bundles: the one way for training and inference alike."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import torch
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter
from torch import Tensor

from models.autoencoder import Autoencoder, AutoencoderConfig
from models.autoencoder_wan import WanAutoencoder, WanAutoencoderConfig
from models.backbones.moviegen import MovieGenConfig, MovieGenTransformer
from models.backbones.wan import WanBackbone, WanConfig
from models.editor import EditingConfig, EditModel
from models.task_predictor import TaskPredictor
from models.text import TextEncoder
from models.text_encoders.config import TextConfig
from models.text_encoders.frozen import FrozenEncoder
from models.text_encoders.joined import JoinedEncoders
from models.weights import Bundle, load_into

AUTOENCODER, BASE, EDITOR = "autoencoder", "base", "editor"


AnyBackbone = MovieGenTransformer | WanBackbone
AnyBackboneConfig = Annotated[MovieGenConfig | WanConfig, Field(discriminator="name")]
AnyAutoencoder = Autoencoder | WanAutoencoder
AnyAutoencoderConfig = Annotated[AutoencoderConfig | WanAutoencoderConfig, Field(discriminator="name")]


class NetworkConfig(BaseModel):
    """Everything a velocity network is built from; travels with its weights. `editing` is None for a base."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    backbone: AnyBackboneConfig
    latent_channels: int
    text: TextConfig
    text_revision: str
    text_widths: tuple[int, ...]
    editing: EditingConfig | None = None


class ModelParams(BaseModel):
    """The block `models` of params.yaml."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    autoencoder: AnyAutoencoderConfig
    backbone: AnyBackboneConfig
    editing: EditingConfig
    text: TextConfig

    def base_config(self, encoder: TextEncoder) -> NetworkConfig:
        """What a text-to-video base is built from, given the text encoder it will read."""
        return NetworkConfig(
            backbone=self.backbone,
            latent_channels=self.autoencoder.latent_channels,
            text=self.text,
            text_revision=encoder.revision,
            text_widths=encoder.widths,
        )


def build_text_encoder(config: TextConfig) -> TextEncoder:
    """The text encoders of a config as one.

    Raises:
        TextEncoderError: one of them cannot be opened.
    """
    return JoinedEncoders([FrozenEncoder(encoder) for encoder in config.encoders], config.frame_rate_prefix)


def build_base(config: NetworkConfig) -> AnyBackbone:
    """A text-to-video backbone with fresh weights.

    Raises:
        ValueError: the backbone cannot read text of these widths.
        ModuleNotFoundError: the backbone is of a library that is not installed.
    """
    if isinstance(config.backbone, WanConfig):
        return WanBackbone(config.backbone, config.latent_channels, config.text_widths)
    return MovieGenTransformer(config.backbone, config.latent_channels, config.text_widths)


def build_editor(config: NetworkConfig) -> EditModel:
    """An editor with fresh weights.

    Raises:
        ValueError: the config has no editing parts.
    """
    if config.editing is None:
        raise ValueError("this config is of a base model: it has no editing parts")
    return EditModel(build_base(config), config.editing)


def editor_from_base(bundle: Bundle, editing: EditingConfig) -> tuple[EditModel, NetworkConfig]:
    """Widen a trained base into an editor that still predicts what the base predicts."""
    config = NetworkConfig.model_validate(dict(bundle.config))
    base = build_base(config)
    load_into(base, bundle.tensors, "base weights")
    return EditModel(base, editing), config.model_copy(update={"editing": editing})


def build_autoencoder(config: AutoencoderConfig | WanAutoencoderConfig) -> AnyAutoencoder:
    """An autoencoder with fresh weights.

    Raises:
        ModuleNotFoundError: the autoencoder is of a library that is not installed.
    """
    return WanAutoencoder(config) if isinstance(config, WanAutoencoderConfig) else Autoencoder(config)


def load_autoencoder(bundle: Bundle) -> AnyAutoencoder:
    """The autoencoder of a bundle, frozen, ready to encode and decode."""
    config: AutoencoderConfig | WanAutoencoderConfig
    config = TypeAdapter(AnyAutoencoderConfig).validate_python(dict(bundle.config))
    autoencoder = build_autoencoder(config)
    load_into(autoencoder, bundle.tensors, "autoencoder weights")
    return autoencoder.eval().requires_grad_(False)


@dataclass(frozen=True)
class LoadedEditor:
    """A frozen editor with its task predictor and config."""

    model: EditModel
    predictor: TaskPredictor
    config: NetworkConfig


def load_editor(bundle: Bundle) -> LoadedEditor:
    """The editor and task predictor of a bundle."""
    config = NetworkConfig.model_validate(dict(bundle.config))
    model = build_editor(config)
    load_into(model, _under("model.", bundle.tensors), "editor weights")
    predictor = TaskPredictor(config.text_widths[0])
    load_into(predictor, _under("predictor.", bundle.tensors), "task predictor weights")
    return LoadedEditor(model.eval().requires_grad_(False), predictor.eval().requires_grad_(False), config)


def editor_bundle(
    weights: Mapping[str, Tensor], predictor: TaskPredictor, config: NetworkConfig, lineage: Mapping[str, Any]
) -> Bundle:
    """Pack an editor's weights and its task predictor: they are versioned together."""
    tensors = {f"model.{name}": tensor for name, tensor in weights.items()}
    tensors |= {f"predictor.{name}": tensor for name, tensor in predictor.state_dict().items()}
    return Bundle(EDITOR, _fp16(tensors), config.model_dump(mode="json"), lineage)


def base_bundle(weights: Mapping[str, Tensor], config: NetworkConfig, lineage: Mapping[str, Any]) -> Bundle:
    """Pack a base's weights."""
    return Bundle(BASE, _fp16(weights), config.model_dump(mode="json"), lineage)


def autoencoder_bundle(
    weights: Mapping[str, Tensor], config: AutoencoderConfig | WanAutoencoderConfig, lineage: Mapping[str, Any]
) -> Bundle:
    """Pack an autoencoder's weights."""
    return Bundle(AUTOENCODER, _fp16(weights), config.model_dump(mode="json"), lineage)


def _fp16(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    # Half precision from the start: what is registered, shipped and evaluated is one and the same.
    return {name: tensor.detach().cpu().to(torch.float16).contiguous() for name, tensor in tensors.items()}


def _under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
