"""How often the answers of a chat model are usable: `python -m benchmarks.writers`, endpoint from the environment.

Asks for an edit of every task on captions of shipped photographs, then for the inverse of what was accepted. Prints all
answers and the reasons of rejections, and writes `benchmarks/results/writers.json`.
"""

import argparse
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from features.sample_captions import CAPTIONS
from features.writers.build import build_writer
from features.writers.config import ChatConfig, Endpoint
from features.writers.prompts import ASKED
from features.writers.protocol import Inverted, InvertRequest, Rejected, WriteRequest, Written
from flows.record import RESULTS, write_record

CONFIG = ChatConfig(
    kind="chat",
    attempts=3,
    temperature=0.9,
    top_p=0.9,
    max_tokens=150,
    max_characters=300,
    example_share=0.6,
    answer_format="json_schema",
    timeout_seconds=120,
    backoff_seconds=1,
    concurrency=1,
)


def measure(config: ChatConfig, environment: Mapping[str, str], captions: Sequence[str]) -> dict[str, float]:
    """Acceptance of edits, a task each and together, of inverses, and what they cost in tokens."""
    writer = build_writer(config, environment)
    requests = [WriteRequest(text, task, 100 * i) for i, text in enumerate(captions) for task in ASKED]
    written = writer.write(requests)
    edits = [(ask, told) for ask, told in zip(requests, written.all, strict=True) if isinstance(told, Written)]
    asked = [InvertRequest(ask.caption, told.output_caption, told.instruction, ask.seed) for ask, told in edits]
    inverted = writer.invert(asked)
    _tell(written.all, inverted.all, asked)
    figures = {"acceptance": written.report.acceptance, "inverse_acceptance": inverted.report.acceptance}
    for task in ASKED:
        figures[f"acceptance_{task}"] = sum(told.task == task for _, told in edits) / len(captions)
    both = written.report + inverted.report
    figures |= {"asked": both.asked, "tries": both.tries, "seconds": both.seconds}
    figures |= {"prompt_tokens": both.prompt_tokens, "completion_tokens": both.completion_tokens}
    return {name: round(value, 4) for name, value in figures.items()}


def _tell(
    written: Sequence[Written | Rejected], inverted: Sequence[Inverted | Rejected], asked: Sequence[InvertRequest]
) -> None:
    for told in written:
        print(told, flush=True)
    for request, back in zip(asked, inverted, strict=True):
        print(request.instruction, "|", request.output_caption, "->", back)
    reasons = Counter(told.reason for told in (*written, *inverted) if isinstance(told, Rejected))
    print(reasons.most_common())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--captions", type=int, default=10)
    parser.add_argument("--record", type=Path, default=RESULTS / "writers.json")
    asked = parser.parse_args()
    every = list(CAPTIONS.values())
    chosen = every[:: max(1, len(every) // asked.captions)][: asked.captions]
    figures = measure(CONFIG, os.environ, chosen)
    params = CONFIG.model_dump() | {"model": Endpoint.of(os.environ).model, "captions": len(chosen)}
    print(write_record(asked.record, params, figures))


if __name__ == "__main__":
    main()
