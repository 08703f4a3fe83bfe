"""Factories that the tests share: tiny networks of the real classes with something to say, conditions, table rows."""

from collections.abc import Sequence
from typing import Any

import torch

from models.autoencoder import Autoencoder, AutoencoderConfig
from models.autoencoder_wan import WanAutoencoder, WanAutoencoderConfig
from models.backbones.moviegen import MovieGenConfig
from models.backbones.wan import WanConfig
from models.build import AnyBackbone, NetworkConfig, build_base
from models.conditioning import Condition, NullCondition
from models.editor import EditingConfig, EditModel
from models.tasks import Task
from models.text import TextContext, pad_texts
from models.text_encoders.config import TextConfig, TextEncoderConfig
from stores.schema import content_id

CHANNELS, TEXT_WIDTH = 4, 12
BACKBONE = MovieGenConfig(
    name="moviegen",
    layers=2,
    width=32,
    hidden=64,
    heads=2,
    patch=2,
    max_latent_frames=8,
    max_rows=4,
    max_columns=4,
    query_key_norm=True,
    precondition=True,
)
WAN = WanConfig(
    name="wan", num_attention_heads=2, attention_head_dim=12, num_layers=2, ffn_dim=32, text_dim=TEXT_WIDTH,
    freq_dim=16, cross_attn_norm=True, eps=1e-6, rope_max_seq_len=16, patch=2, text_len=16, max_latent_frames=8,
)  # fmt: skip
WAN_AUTOENCODER = WanAutoencoderConfig(
    name="wan", latent_channels=CHANNELS, base_dim=4, decoder_base_dim=4, dim_mult=(1, 2, 2), num_res_blocks=1,
    temporal_downsample=(True, True), is_residual=False, patch_size=1,
)  # fmt: skip
BACKBONES = {"moviegen": BACKBONE, "wan": WAN}
PATCH_EMBED = {"moviegen": "patch_embed", "wan": "transformer.patch_embedding"}


def latents(*shape: int, seed: int = 0) -> torch.Tensor:
    """Unit normal numbers, the same for the same seed; two samples of two latent frames if no shape is given."""
    return torch.randn(shape or (2, CHANNELS, 2, 8, 8), generator=torch.Generator().manual_seed(seed))


def texts(*lengths: int) -> TextContext:
    """One row of token states a length."""
    return pad_texts([(latents(length, TEXT_WIDTH, seed=i),) for i, length in enumerate(lengths)])


def minilm(max_tokens: int) -> TextConfig:
    """The packaged text encoder alone."""
    encoder = TextEncoderConfig(kind="minilm", source=None, max_tokens=max_tokens, dtype="float32")
    return TextConfig(encoders=(encoder,), frame_rate_prefix=None)


def condition(lengths: Sequence[int] = (5, 3), frames: int = 2, task: Task = Task.ADD) -> Condition:
    """A source, an instruction and a task, for as many samples as there are lengths of text."""
    count = len(lengths)
    source = latents(count, CHANNELS, frames, 8, 8, seed=7)
    return Condition(source, texts(*lengths), torch.full((count,), int(task)), torch.zeros(count, dtype=torch.long))


def null(length: int = 2, frames: int = 2) -> NullCondition:
    return NullCondition(texts(length), latents(1, CHANNELS, frames, 8, 8, seed=9))


def network(name: str = "moviegen") -> NetworkConfig:
    """What a tiny base of this name is built from."""
    return NetworkConfig(
        backbone=BACKBONES[name], latent_channels=CHANNELS, text=minilm(8), text_revision="r", text_widths=(TEXT_WIDTH,)
    )


def base(name: str = "moviegen", seed: int = 0) -> AnyBackbone:
    """A base as if trained: its zero-initialised layers are filled, so that it predicts something."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        made = build_base(network(name))
        for parameter in made.parameters():
            if not parameter.any():
                torch.nn.init.normal_(parameter, std=0.05)
    return made.eval()


def fresh_editor(copy_skip: bool = True, name: str = "moviegen") -> EditModel:
    """An editor just widened from `base()`."""
    with torch.random.fork_rng():
        torch.manual_seed(1)
        return EditModel(base(name), EditingConfig(task_width=8, copy_skip=copy_skip)).eval()


def trained_editor(name: str = "moviegen") -> EditModel:
    """An editor as if trained: source, task and gates all have a say."""
    editor = fresh_editor(name=name)
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(2)
        for parameter in editor.parameters():
            if not parameter.any():
                torch.nn.init.normal_(parameter, std=0.1)
    return editor


def wan_autoencoder(**changes: Any) -> WanAutoencoder:
    """A random one, with statistics that are not those of unit normal latents."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        made = WanAutoencoder(WAN_AUTOENCODER.model_copy(update=changes))
    made.set_normalisation(torch.linspace(-1, 1, CHANNELS), torch.linspace(0.5, 2, CHANNELS))
    return made.eval().requires_grad_(False)


def autoencoder(
    linear_path: bool = False, halvings: int = 1, channels: tuple[int, ...] = (8, 16), pixel_patch: int = 2
) -> Autoencoder:
    config = AutoencoderConfig(
        name="tae",
        latent_channels=CHANNELS,
        channels=channels,
        blocks=1,
        groups=4,
        pixel_patch=pixel_patch,
        spatial_halvings=len(channels) - 1,
        temporal_halvings=halvings,
        linear_path=linear_path,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Autoencoder(config).eval()


def clip_rows(count: int, start: int = 0) -> list[dict[str, Any]]:
    """Rows of the table `clips`, each recognisable by its number."""
    numbers = range(start, start + count)
    return [{"id": content_id(i), "caption": f"clip {i}", "media": i.to_bytes(4, "big")} for i in numbers]
