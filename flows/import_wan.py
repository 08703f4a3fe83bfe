"""Start from Wan instead of pretraining: `python -m flows.import_wan SOURCE` fills weights/, where `adopt` finds them.

SOURCE is a folder with `transformer/` and `vae/`, as diffusers saves a pipeline, or the id of one on the hub. A preset
of Wan has to be in params.yaml already, so that shapes and text encoder are those of the run that follows.
"""

import argparse
import sys
from pathlib import Path

import torch
from pydantic import BaseModel

from flows.params import Params, ParamsError
from flows.settings import ROOT, apply_environment
from flows.training import SHIPPED, WEIGHTS
from models.autoencoder_wan import WanAutoencoderConfig, load_wan_autoencoder
from models.backbones.wan import WanConfig, load_wan_base
from models.build import (
    AUTOENCODER,
    BASE,
    ModelParams,
    autoencoder_bundle,
    base_bundle,
    build_base,
    build_text_encoder,
)
from models.text_encoders.source import TextEncoderError
from models.weights import Bundle, save_bundle


def import_wan(models: ModelParams, source: str, weights: Path) -> None:
    """Write autoencoder and base of Wan into the folder `weights`, in half precision, each with its card.

    Raises:
        ValueError: the parameters are not of Wan, describe other shapes than the source has, or name another text
            encoder; or a weight does not fit half precision.
        TextEncoderError: the text encoder cannot be opened.
        ModuleNotFoundError: diffusers is not installed.
    """
    if not isinstance(models.backbone, WanConfig) or not isinstance(models.autoencoder, WanAutoencoderConfig):
        raise ValueError("models.backbone and models.autoencoder are not of wan: apply a preset of it first")
    config = models.base_config(build_text_encoder(models.text))
    with torch.device("meta"):
        build_base(config)  # what cannot be built is refused before gigabytes are read
    autoencoder = load_wan_autoencoder(source)
    _agree("models.autoencoder", models.autoencoder, autoencoder.config)
    made = autoencoder_bundle(autoencoder.weights, autoencoder.config, {"source": source})
    _write(made, weights, source)
    base = load_wan_base(source, models.backbone.text_len, models.backbone.max_latent_frames)
    _agree("models.backbone", models.backbone, base.config)
    if base.latent_channels != config.latent_channels:
        raise ValueError(
            f"the transformer of {source} has {base.latent_channels} latent channels, "
            f"models.autoencoder {config.latent_channels}"
        )
    _write(base_bundle(base.weights, config, {"source": source}), weights, source)


def _agree(block: str, told: BaseModel, found: BaseModel) -> None:
    here, there = told.model_dump(), found.model_dump()
    other = [
        f"{block}.{name}: {here[name]}, the source has {there[name]}" for name in here if here[name] != there[name]
    ]
    if other:
        raise ValueError("\n".join(other))


def _write(bundle: Bundle, weights: Path, source: str) -> None:
    wide = [name for name, tensor in bundle.tensors.items() if not tensor.isfinite().all()]
    if wide:
        raise ValueError(f"{source}: beyond half precision: {', '.join(wide)}")
    path = weights / SHIPPED[bundle.kind]
    save_bundle(bundle, path)
    lines = [
        f"# {bundle.kind}",
        "",
        f"Of Wan, from `{source}`, by `python -m flows.import_wan`; not trained here. Its licence is the source's.",
        f"Stored in half precision, digest `{bundle.digest()}`.",
    ]
    path.with_suffix(".md").write_text("\n".join(lines) + "\n")


def main() -> None:
    """Command line."""
    apply_environment()
    parser = argparse.ArgumentParser(description=f"{AUTOENCODER} and {BASE} of Wan into {WEIGHTS}/.")
    parser.add_argument("source", help="folder with transformer/ and vae/, or id on the hub")
    parser.add_argument("--params", type=Path, default=ROOT / "params.yaml")
    parser.add_argument("--weights", type=Path, default=ROOT / WEIGHTS, help="where they go (default: the checkout's)")
    parser.add_argument("overrides", nargs="*", help="key.path=value")
    told = parser.parse_args()
    try:
        models = Params.read(told.params, tuple(told.overrides)).models
        import_wan(models, told.source, told.weights)
    except (ParamsError, TextEncoderError, ValueError, ModuleNotFoundError) as error:
        sys.exit(f"moviegen-edit: {error}")


if __name__ == "__main__":
    main()
