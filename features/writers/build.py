"""The writer that a config asks for."""

from collections.abc import Mapping

from features.writers.config import CausalLmConfig, ChatConfig, Endpoint, WriterConfig
from features.writers.grammar import GrammarWriter
from features.writers.protocol import InstructionWriter
from features.writers.spoken import SpokenWriter


def build_writer(config: WriterConfig, environment: Mapping[str, str]) -> InstructionWriter:
    """The grammar, a chat model whose endpoint the environment names, or a model of transformers.

    Raises:
        WriterError: the environment names no endpoint, or the model cannot be loaded.
    """
    if isinstance(config, ChatConfig):
        from features.writers.chat import ChatSpeaker

        return SpokenWriter(ChatSpeaker(Endpoint.of(environment), config), config, config.concurrency)
    if isinstance(config, CausalLmConfig):
        from features.writers.causal_lm import CausalLmSpeaker

        return SpokenWriter(CausalLmSpeaker(config), config)
    return GrammarWriter()
