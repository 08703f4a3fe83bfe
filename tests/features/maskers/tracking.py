"""Tiny random Grounding DINO and SAM 2 of the real classes of transformers, saved as their authors save theirs."""

from pathlib import Path

import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from tokenizers.processors import TemplateProcessing
from transformers import (
    GroundingDinoConfig,
    GroundingDinoForObjectDetection,
    GroundingDinoImageProcessorPil,
    PreTrainedTokenizerFast,
    Sam2VideoConfig,
    Sam2VideoModel,
    SwinConfig,
)
from transformers.utils import logging

SIDE = 128  # of SAM 2's input


def save_detector(folder: Path, seed: int = 0) -> Path:
    logging.disable_progress_bar()
    swin = SwinConfig(
        image_size=32, window_size=4, embed_dim=8, depths=[1] * 4, num_heads=[1] * 4,
        out_features=["stage2", "stage3", "stage4"],
    )  # fmt: skip
    text = {
        "model_type": "bert", "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2,
        "intermediate_size": 32, "vocab_size": 40, "max_position_embeddings": 64,
    }  # fmt: skip
    config = GroundingDinoConfig(
        backbone_config=swin, text_config=text, d_model=32, encoder_layers=2, decoder_layers=2,
        encoder_attention_heads=2, decoder_attention_heads=2, encoder_ffn_dim=32, decoder_ffn_dim=32, num_queries=5,
        max_text_len=16,
    )  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        GroundingDinoForObjectDetection(config).save_pretrained(folder)
    GroundingDinoImageProcessorPil(size={"shortest_edge": 64, "longest_edge": 96}).save_pretrained(folder)
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", ".", "owl", "red", "car"]
    tokenizer = Tokenizer(WordLevel({word: number for number, word in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.post_processor = TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)])
    names = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, **names).save_pretrained(folder)
    return folder


def save_tracker(folder: Path, seed: int = 0) -> Path:
    logging.disable_progress_bar()
    hiera = {
        "model_type": "sam2_hiera_det_model", "hidden_size": 12, "embed_dim_per_stage": [12, 24, 48, 96],
        "num_attention_heads_per_stage": [1, 2, 4, 8], "blocks_per_stage": [1, 2, 2, 2],
        "window_size_per_stage": [8, 4, 7, 7], "global_attention_blocks": [], "image_size": [SIDE, SIDE],
    }  # fmt: skip
    vision = {
        "model_type": "sam2_vision_model", "backbone_config": hiera, "backbone_channel_list": [96, 48, 24, 12],
        "backbone_feature_sizes": [[32, 32], [16, 16], [8, 8]], "fpn_hidden_size": 128,
    }  # fmt: skip
    decoder = {
        "hidden_size": 128, "mlp_dim": 64, "num_hidden_layers": 2, "num_attention_heads": 4,
        "iou_head_hidden_dim": 32,
    }  # fmt: skip
    config = Sam2VideoConfig(
        vision_config=vision, prompt_encoder_config={"hidden_size": 128, "image_size": SIDE},
        mask_decoder_config=decoder, image_size=SIDE, memory_attention_hidden_size=128, memory_attention_num_layers=1,
        memory_attention_num_attention_heads=1, memory_attention_feed_forward_hidden_size=32,
        memory_attention_rope_feat_sizes=[8, 8], memory_encoder_hidden_size=128, memory_encoder_output_channels=64,
        mask_downsampler_embed_dim=128, memory_fuser_embed_dim=128, memory_fuser_intermediate_dim=64, num_maskmem=3,
        max_object_pointers_in_encoder=4,
    )  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        Sam2VideoModel(config).save_pretrained(folder)
    return folder
