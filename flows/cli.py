"""The command `moviegen-edit`: edit one clip, many clips, and follow an edit back to where it came from."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flows.settings import ROOT, apply_environment

if TYPE_CHECKING:
    from flows.job import Job

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="Edit videos and pictures by instruction.",
    pretty_exceptions_enable=False,
)

State = Annotated[Path, typer.Option("--state", help="Where models and tables lie.", show_default="the checkout")]
Model = Annotated[
    str | None, typer.Option("--model", metavar="NAME@ALIAS", help="Default: editor@champion, else the shipped one.")
]
ParamsFile = Annotated[Path, typer.Option("--params", help="Parameter file.", show_default="params.yaml")]


@app.command()
def edit(
    clip: Annotated[Path, typer.Argument(help="A video or a picture.")],
    instruction: Annotated[str, typer.Argument(help='For instance "add a small red apple on the left".')],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="File or folder; default: beside the clip.")
    ] = None,
    task: Annotated[str | None, typer.Option(help="Task id; default: predicted from the instruction.")] = None,
    num_inference_steps: Annotated[int | None, typer.Option(min=1, help="Sampling steps.")] = None,
    guidance_scale: Annotated[float | None, typer.Option(help="How strongly the instruction is followed.")] = None,
    video_guidance_scale: Annotated[float | None, typer.Option(help="How strongly the source is kept.")] = None,
    seed: Annotated[int | None, typer.Option(help="Other seeds give other edits.")] = None,
    model: Model = None,
    state: State = ROOT,
    params: ParamsFile = ROOT / "params.yaml",
) -> None:
    """Edit one clip: the same length, rate, size and sound come back."""
    apply_environment()
    from flows.inference import open_editor
    from flows.job import Job
    from inference.edit import edit_file
    from inference.params import Overrides, edit_settings

    with _plain_errors():
        overrides = Overrides.checked(
            num_inference_steps=num_inference_steps,
            guidance_scale=guidance_scale,
            video_guidance_scale=video_guidance_scale,
            seed=seed,
            task=task,
        )
        job = Job.open(params, state)
        name, alias = _named(model)
        opened = open_editor(job, name, alias)
        settings = edit_settings(opened.editor.params, overrides)
        result = edit_file(opened.editor, clip, instruction, output or _off_the_data(clip, job), settings)
    typer.echo(
        f"{result.output}: {result.frames} frames, {result.width}x{result.height}, task {result.task.label}, "
        f"{result.seconds:.1f} s, {opened.told}"
    )


@app.command()
def batch(
    manifest: Annotated[Path, typer.Argument(help="CSV, JSONL, JSON or Parquet with columns clip and instruction.")],
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Folder; default: outputs/<manifest>.")] = None,
    model: Model = None,
    state: State = ROOT,
    params: ParamsFile = ROOT / "params.yaml",
) -> None:
    """Edit many clips; run again to do what is missing. One bad row never stops the others."""
    apply_environment()
    from flows.inference import edit_many
    from flows.job import Job
    from flows.steps import PlainSteps

    with _plain_errors():
        job = Job.open(params, state)
        name, alias = _named(model)
        outputs = output or job.state.outputs / manifest.stem
        with job.state.writing():
            done = edit_many(job, PlainSteps(), manifest, outputs, alias, name)
    if done.answered.failed or done.problems:
        raise typer.Exit(1)


@app.command()
def lineage(
    edit_id: Annotated[str, typer.Argument(help="Id of an edit, or the beginning of one.")],
    state: State = ROOT,
) -> None:
    """Follow an edit back: model, tables, clips, raw files."""
    apply_environment()
    from stores.lineage import trace
    from stores.state import State as StateRoot

    with _plain_errors():
        typer.echo(trace(StateRoot.at(state), edit_id).text())


def _off_the_data(clip: Path, job: "Job") -> Path | None:
    """The outputs of the state for a clip of the versioned data folder, which an edit beside it would change."""
    if not clip.resolve().is_relative_to(job.data.resolve()):
        return None
    job.state.outputs.mkdir(parents=True, exist_ok=True)
    return job.state.outputs


def _named(model: str | None) -> tuple[str, str | None]:
    if model is None:
        return "editor", None
    name, at, alias = model.partition("@")
    if not at or not name or not alias:
        raise typer.BadParameter("expected NAME@ALIAS, for instance editor@champion", param_hint="--model")
    return name, alias


class _plain_errors:
    """Errors that a user can mend are told in one line, without a trace."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        from flows.inference import NoEditorError
        from flows.params import ParamsError
        from inference.editor import EditorMismatchError
        from inference.manifest import ManifestError
        from inference.params import EditError
        from models.weights import WeightsError
        from stores.clip_types import MediaError
        from stores.receipts import ReceiptError
        from stores.state import StateBusyError

        known = (
            NoEditorError, ParamsError, EditorMismatchError, ManifestError, EditError, WeightsError, MediaError,
            ReceiptError, StateBusyError,
        )  # fmt: skip
        if isinstance(error, known):
            typer.echo(f"moviegen-edit: {error}", err=True)
            sys.exit(1)
