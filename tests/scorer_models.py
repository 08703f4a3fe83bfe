"""Tiny CLIP and X-CLIP of the real classes of transformers, with random weights, saved as their authors save theirs."""

import json
from pathlib import Path

import torch
from transformers import CLIPConfig, CLIPModel, XCLIPConfig, XCLIPModel
from transformers.utils import logging

from tests.text_models import SENTENCE, save_tokenizer

SIDE, CLIP_LENGTH = 28, 4
MEAN, STD = [0.48, 0.46, 0.41], [0.27, 0.26, 0.28]
WIDTH = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
TEXT = {
    "vocab_size": len(SENTENCE.split()) + 4,
    "bos_token_id": 3,
    "eos_token_id": 1,
    "pad_token_id": 0,
    "max_position_embeddings": 24,
}


def save_scorer(kind: str, folder: Path, seed: int = 0) -> Path:
    """A checkpoint with its tokenizer and `preprocessor_config.json`, in the layout of `save_pretrained`."""
    logging.disable_progress_bar()
    vision = WIDTH | {"image_size": SIDE, "patch_size": 14}
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        if kind == "clip":
            model = CLIPModel(CLIPConfig(text_config=WIDTH | TEXT, vision_config=vision, projection_dim=12))
        else:
            told = {"num_frames": CLIP_LENGTH, "mit_hidden_size": 12, "mit_intermediate_size": 16}
            told |= {"mit_num_hidden_layers": 1, "mit_num_attention_heads": 2}
            config = XCLIPConfig(
                text_config=WIDTH | TEXT, vision_config=vision | told, projection_dim=12, prompt_num_attention_heads=2
            )
            model = XCLIPModel(config)
        for values in model.parameters():
            # As they are drawn, all pictures and all texts would be nearly one vector.
            torch.nn.init.normal_(values, std=0.3) if values.ndim > 1 else None
        model.save_pretrained(folder)
    save_tokenizer("metaclip", folder)
    looks = {"resample": 3, "image_mean": MEAN, "image_std": STD, "size": {"shortest_edge": SIDE}, "crop_size": SIDE}
    (folder / "preprocessor_config.json").write_text(json.dumps(looks))
    return folder
