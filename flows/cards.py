"""Model cards of shipped weights: how they were trained, on what, how long, with which curves, scores and samples."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from features.pairs import make_triple
from features.plan import IMAGE_EDIT, PlannedRow
from flows.features import compose_setting
from flows.job import Job
from flows.revision import commit
from flows.training import SHIPPED
from inference.editor import Editor, FramesRequest
from inference.gallery import GalleryRow, gallery
from inference.generator import Generator
from inference.params import Overrides, edit_settings
from models.build import AUTOENCODER, BASE, EDITOR, AnyAutoencoder, load_autoencoder
from models.pixels import Frames, to_frames, to_video
from models.tiling import reconstruct_tiled
from models.weights import load_bundle
from stores.media_rows import COLUMNS, WorkingSize, decode_row
from stores.model_registry.models import ModelRegistry, RegisteredModel
from stores.model_registry.tracking import Tracking
from stores.receipts import ModelReceipt, Receipt
from stores.schema import CLIPS, EDIT_PAIRS

SAMPLED_PICTURES, SAMPLED_CLIPS, SAMPLED_EDITS = 16, 4, 24
COMMIT = "commit"
SHEET_WIDTH = 1680  # pixels
CURVES = {
    AUTOENCODER: ("val/psnr/pictures", "val/psnr/clips"),
    BASE: ("val/loss", "val/loss/text_to_image"),
    EDITOR: ("val/loss", "val/loss/image_edit"),
}
POINTS = 12


def note_commit(job: Job, receipt: ModelReceipt) -> None:
    """Write the commit that a model was trained at into its run, unless it stands there already."""
    tracking = Tracking(job.state)
    run_id = ModelRegistry(tracking).fetch(receipt).run_id
    if COMMIT not in tracking.client.get_run(run_id).data.tags:
        tracking.client.set_tag(run_id, COMMIT, commit())


def card(job: Job, name: str, model: RegisteredModel, receipt: Receipt, before: str = "") -> str:
    """The card of the autoencoder, the base or the editor of stage one.

    Args:
        before: the card of the editor that this one went on from; it is quoted below, so that no training is untold.
    """
    client, stem = Tracking(job.state).client, Path(SHIPPED[name]).stem
    run = client.get_run(model.run_id)
    minutes = ((run.info.end_time or run.info.start_time) - run.info.start_time) / 60000
    started = datetime.fromtimestamp(run.info.start_time / 1000, UTC)
    training = job.params.training
    stages = {BASE: training.base, EDITOR: training.stages["one"]}
    values = training.autoencoder if name == AUTOENCODER else stages[name]
    network = job.params.models.autoencoder if name == AUTOENCODER else job.params.models.backbone
    lines = [
        f"# {stem}",
        "",
        f"Trained {started:%Y-%m-%d} at commit {run.data.tags.get(COMMIT, 'unknown')}:",
        f"{values.steps} steps, {minutes:.0f} minutes, by `python -m flows.pretrain {name}`. Stored in half precision.",
        "",
        f"* weights: `{receipt.model(name).digest}`",
        *(f"* {role}: `{digest}`" for role, digest in receipt.parents.items()),
        *(f"* {key}: {value}" for key, value in receipt.figures.items()),
        "",
        f"![unpicked samples]({stem}.jpg)",
        "",
        *_curves(job, model.run_id, CURVES[name]),
        "",
        "```json",
        json.dumps({"model": network.model_dump(mode="json"), "training": values.model_dump(mode="json")}, indent=1),
        "```",
        *_quoted(before, stem),
    ]
    return "\n".join(lines) + "\n"


def _quoted(before: str, stem: str) -> list[str]:
    if not before:
        return []
    told = [line for line in before.removeprefix(f"# {stem}").strip().splitlines() if f"({stem}.jpg)" not in line]
    return ["", "It went on from an editor with this card:", "", *(f"> {line}".rstrip() for line in told)]


def samples(job: Job, name: str, model: RegisteredModel, receipt: Receipt) -> Frames:
    """A sheet of unpicked samples: the first held-out rows by id, whatever they look like."""
    if name == AUTOENCODER:
        network = load_autoencoder(load_bundle(model.folder / f"{AUTOENCODER}.safetensors", AUTOENCODER))
        return gallery(list(_reconstructions(job, network)), SHEET_WIDTH, shown_frames=3)
    if name == EDITOR:
        files = (model.folder / f"{EDITOR}.safetensors", model.folder / f"{AUTOENCODER}.safetensors")
        return gallery(list(edited(job, Editor.from_files(*files, job.params.inference))), SHEET_WIDTH, shown_frames=1)
    files = (model.folder / f"{BASE}.safetensors", model.folder / f"{AUTOENCODER}.safetensors")
    return gallery(
        list(_generations(job, Generator.from_files(*files, job.params.inference))), SHEET_WIDTH, shown_frames=6
    )


def _reconstructions(job: Job, network: AnyAutoencoder) -> Iterator[GalleryRow]:
    table = job.folder("clips").open(job.receipt("clips").table(CLIPS.name))
    geometry = job.params.features.geometry
    size = WorkingSize(geometry.resolution, geometry.frame_rate, geometry.clip_frames)
    rows = table.rows([*COLUMNS, "caption"], where="split = 'test'").to_pylist()
    for kind, count in (("picture", SAMPLED_PICTURES), ("video", SAMPLED_CLIPS)):
        for row in [row for row in rows if row["kind"] == kind][:count]:
            side = geometry.resolution
            frames = decode_row(row, size, job.limits)[: geometry.clip_frames, :side, :side]
            made = reconstruct_tiled(network, to_video(frames), job.params.inference.tiling)
            yield GalleryRow(row["caption"], (frames, to_frames(made)[0]))


def _generations(job: Job, generator: Generator) -> Iterator[GalleryRow]:
    receipt = job.receipt("pairs-base")
    table = job.folder("pairs-base").open(receipt.table(EDIT_PAIRS.name))
    columns = ["id", "group", "kind", "instruction", "target_caption"]
    rows = table.rows(columns, where="split = 'validation'").to_pylist()
    frames = job.params.features.geometry.clip_frames
    for kind, count in (("picture", SAMPLED_PICTURES), ("video", SAMPLED_CLIPS)):
        for row in [row for row in rows if row["kind"] == kind][:count]:
            made = generator.generate(row["instruction"], 1 if kind == "picture" else frames, job.params.seed)
            yield GalleryRow(row["target_caption"], (made,))


def edited(job: Job, editor: Editor) -> Iterator[GalleryRow]:
    """The first validation edits by task in turn: source, edit, truth."""
    setting = compose_setting(job, job.params.seed, ("features",))
    wheel = list(job.params.features.pairs["one"].tasks)
    for number in range(SAMPLED_EDITS):
        triple = make_triple(PlannedRow(number, IMAGE_EDIT, "validation", wheel[number % len(wheel)]), setting)
        if triple.source is not None:
            request = FramesRequest(triple.source, triple.instruction, edit_settings(job.params.inference, Overrides()))
            made = editor.edit_frames(request.frames, request.instruction, request.settings).frames
            yield GalleryRow(triple.instruction, (triple.source, made, triple.target))


def _curves(job: Job, run_id: str, names: tuple[str, ...]) -> list[str]:
    client = Tracking(job.state).client
    found = {name: {point.step: point.value for point in client.get_metric_history(run_id, name)} for name in names}
    steps = sorted(set.union(*(set(points) for points in found.values())))
    kept = steps[:: max(1, -(-len(steps) // POINTS))]
    kept = kept if not steps or kept[-1] == steps[-1] else [*kept, steps[-1]]
    lines = [f"| step | {' | '.join(names)} |", f"|---|{'---|' * len(names)}"]
    for step in kept:
        values = (found[name].get(step) for name in names)
        lines.append(f"| {step} | {' | '.join('' if value is None else f'{value:.3f}' for value in values)} |")
    return lines
