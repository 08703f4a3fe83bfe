"""The files of a text encoder: a folder or a snapshot of the Hugging Face hub, and the digest of what lies there."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from models.text_encoders.config import TextEncoderConfig
from models.text_encoders.minilm import packaged_model_folder

READ = (".json", ".model", ".safetensors", ".txt")  # weights, tokenizer, configs; pickles are never read
MODEL, TOKENIZER = "text_encoder", "tokenizer"  # of a pipeline in the layout of diffusers


class TextEncoderError(RuntimeError):
    """A text encoder that cannot be opened; the message names it, its source, and what to do."""


@dataclass(frozen=True)
class EncoderFiles:
    """Where an encoder's weights and its tokenizer lie; often the same folder."""

    model: Path
    tokenizer: Path

    def digest(self) -> str:
        """Of names and bytes of all that is read, wherever the folders lie; hexadecimal."""
        return _digest([self.model] if self.model == self.tokenizer else [self.model, self.tokenizer])


def find_files(config: TextEncoderConfig) -> EncoderFiles:
    """The files of an encoder, fetched from the hub if its source is an id that the cache lacks.

    Raises:
        TextEncoderError: there is no such folder, the hub cannot be reached or does not know the id.
    """
    if config.source is None:
        return _layout(packaged_model_folder())
    folder = Path(config.source).expanduser()
    if not folder.is_dir():
        if config.source.startswith((".", "/", "~")) or config.source.count("/") > 1:
            raise TextEncoderError(
                f"text encoder {config.kind}: no folder {config.source}; put the model there or change its `source`"
            )
        folder = _snapshot(config.kind, config.source)
    files = _layout(folder)
    if not (files.model / "config.json").is_file():
        raise TextEncoderError(
            f"text encoder {config.kind}: {config.source} has no config.json; `source` is a folder as save_pretrained "
            "writes it, or one with text_encoder/ and tokenizer/"
        )
    return files


def _layout(folder: Path) -> EncoderFiles:
    if (folder / MODEL).is_dir() and (folder / TOKENIZER).is_dir():
        return EncoderFiles(folder / MODEL, folder / TOKENIZER)
    return EncoderFiles(folder, folder)


def _snapshot(kind: str, source: str) -> Path:
    from huggingface_hub import snapshot_download

    name, _, revision = source.partition("@")
    try:
        # A pipeline holds far more than its text encoder, so the two folders are asked for before anything else.
        told = {"repo_id": name, "revision": revision or None}
        folder = Path(snapshot_download(**told, allow_patterns=[f"{MODEL}/*", f"{TOKENIZER}/*"]))
        if not (folder / MODEL).is_dir():
            patterns = [f"*{suffix}" for suffix in READ]
            folder = Path(snapshot_download(**told, allow_patterns=patterns, ignore_patterns="*/*"))
    except (OSError, ValueError) as error:
        reason = str(error).partition("\n")[0]
        raise TextEncoderError(
            f"text encoder {kind}: neither a folder nor on the hub: {source} ({reason}); download it where there is a "
            "network, and name its folder as `source`"
        ) from error
    return folder


def _digest(folders: Sequence[Path]) -> str:
    found = hashlib.sha256()
    for folder in folders:
        for path in sorted(path for path in folder.iterdir() if path.suffix in READ):
            with path.open("rb") as file:
                found.update(f"{path.name}\0{hashlib.file_digest(file, 'sha256').hexdigest()}\0".encode())
    return found.hexdigest()
