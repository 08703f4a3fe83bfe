"""The same rows in Hugging Face datasets, WebDataset and files of their own, each read as its documentation shows.

Of each format there are several readings, the last the fastest that was found: arrays as the library's own types, or as
bytes that are viewed as arrays. All are of one process, without workers, as our own.
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.loader_rows import Arrays, Loaded, Read, Rows, Side, chunks, collate
from benchmarks.step_sides import TEXT_WIDTH

INSTALL = "pip install -c constraints.txt -e '.[bench]'"
ROW_GROUP, TAR_ROWS, SHUFFLE_BUFFER = 256, 500, 1000
HALF = np.dtype("<f2")


def write_peers(rows: Rows, folder: Path) -> list[Side]:
    """Write the rows in every format below a folder.

    Raises:
        ModuleNotFoundError: `datasets` or `webdataset` is not installed; the message has the command.
    """
    writers = (_write_hugging_face, _write_webdataset, _write_files)
    return [side for write in writers for side in write(rows, folder)]


def _datasets() -> Any:
    try:
        import datasets
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(f"this compares with the package datasets: {INSTALL}") from error
    datasets.disable_progress_bars()
    return datasets


def _webdataset() -> Any:
    try:
        import webdataset
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(f"this compares with the package webdataset: {INSTALL}") from error
    return webdataset


def _write_hugging_face(rows: Rows, folder: Path) -> list[Side]:
    """Parquet with tensor columns, and Parquet with bytes."""
    datasets = _datasets()
    tensors, binary = folder / "parquet_tensors", folder / "parquet_bytes"
    for made in (tensors, binary):
        made.mkdir(parents=True)
    latents = datasets.Array4D(rows.shape, "float16")
    features = datasets.Features(
        {
            "id": datasets.Value("string"),
            "task": datasets.Value("int64"),
            "source": latents,
            "target": latents,
            "text": datasets.Array2D((None, TEXT_WIDTH), "float16"),
        }
    )
    plain = {"id": rows.ids, "task": rows.tasks}
    cells = {"source": list(rows.sources), "target": list(rows.targets), "text": rows.texts}
    datasets.Dataset.from_dict(plain | cells, features=features).to_parquet(str(tensors / "rows.parquet"))
    packed = {name: pa.array([cell.tobytes() for cell in cells[name]], pa.large_binary()) for name in cells}
    pq.write_table(pa.table(plain | packed), binary / "rows.parquet", row_group_size=ROW_GROUP)
    return [
        Side("datasets_torch", tensors, lambda: _datasets_tensors(tensors, "torch")),
        Side("datasets_numpy", tensors, lambda: _datasets_tensors(tensors, "numpy")),
        Side("datasets_bytes", binary, lambda: _datasets_bytes(binary, rows.shape)),
    ]


def _dataset(folder: Path) -> Any:
    """Parquet, as `load_dataset` maps it: once converted, rows at random come from Arrow files."""
    files = str(folder / "rows.parquet")
    return _datasets().load_dataset("parquet", data_files=files, cache_dir=str(folder / "cache"), split="train")


def _datasets_tensors(folder: Path, form: str) -> Read:
    view = _dataset(folder).with_format(form)

    def read(order: Sequence[int], size: int) -> Iterator[Loaded]:
        for asked in chunks(order, size):
            found = view[asked]
            arrays = ([np.asarray(cell) for cell in found[name]] for name in ("source", "target", "text"))
            yield collate(found["id"], Arrays(*arrays), [int(task) for task in found["task"]])

    return read


def _datasets_bytes(folder: Path, shape: tuple[int, ...]) -> Read:
    view = _dataset(folder)

    def read(order: Sequence[int], size: int) -> Iterator[Loaded]:
        for asked in chunks(order, size):
            found = view[asked]
            yield collate(found["id"], _viewed(found["source"], found["target"], found["text"], shape), found["task"])

    return read


def _viewed(
    sources: Sequence[bytes], targets: Sequence[bytes], texts: Sequence[bytes], shape: tuple[int, ...]
) -> Arrays:
    """Bytes of rows as arrays; those of texts are copied, for torch takes no array that it may not write."""
    source, target = ([np.frombuffer(data, HALF).reshape(shape) for data in column] for column in (sources, targets))
    return Arrays(source, target, [np.frombuffer(data, HALF).reshape(-1, TEXT_WIDTH).copy() for data in texts])


def _write_webdataset(rows: Rows, folder: Path) -> list[Side]:
    """Tar shards, with arrays as .npy and as plain bytes."""
    sides = []
    packed: dict[str, Callable[[np.ndarray], Any]] = {"npy": lambda array: array, "bin": lambda array: array.tobytes()}
    for kind, pack in packed.items():
        place = folder / f"webdataset_{kind}"
        place.mkdir(parents=True)
        with _webdataset().ShardWriter(str(place / "rows-%05d.tar"), maxcount=TAR_ROWS, verbose=0) as sink:
            for key, task, source, target, text in _each(rows):
                arrays = {"source": source, "target": target, "text": text}
                cells = {f"{name}.{kind}": pack(array) for name, array in arrays.items()}
                sink.write({"__key__": key, "task.cls": task, **cells})
        sides.append(Side(f"webdataset_{kind}", place, _tar_opener(place, kind, rows.shape), random_access=False))
    return sides


def _each(rows: Rows) -> Iterator[tuple[str, int, np.ndarray, np.ndarray, np.ndarray]]:
    return zip(rows.ids, rows.tasks, rows.sources, rows.targets, rows.texts, strict=True)


def _tar_opener(folder: Path, kind: str, shape: tuple[int, ...]) -> Callable[[], Read]:
    """Shards shuffled, then a buffer of rows: the order a tar can give."""
    names = [f"{name}.{kind}" for name in ("source", "target", "text")]
    shards = sorted(str(path) for path in folder.glob("*.tar"))

    def gather(found: list[Any]) -> Loaded:
        keys, tasks, sources, targets, texts = zip(*found, strict=True)
        given = (sources, targets, texts)
        arrays = _viewed(*given, shape) if kind == "bin" else Arrays(*given)
        return collate(keys, arrays, [int(task) for task in tasks])

    def read(order: Sequence[int], size: int) -> Iterator[Loaded]:
        rows = _webdataset().WebDataset(shards, shardshuffle=len(shards), seed=0)
        rows = rows.shuffle(SHUFFLE_BUFFER).decode().to_tuple("__key__", "task.cls", *names)
        yield from rows.batched(size, collation_fn=gather, partial=False)

    return lambda: read


def _write_files(rows: Rows, folder: Path) -> list[Side]:
    """A file a row: safetensors, and .npy with all halves in a line and the tasks in one more file."""
    from safetensors.numpy import save_file

    tensors, plain = folder / "safetensors", folder / "npy"
    for made in (tensors, plain):
        made.mkdir(parents=True)
    for key, task, source, target, text in _each(rows):
        told = {"source": source, "target": target, "text": text, "task": np.array(task)}
        save_file(told, tensors / f"{key}.safetensors")
        np.save(plain / f"{key}.npy", np.concatenate([source.ravel(), target.ravel(), text.ravel()]))
    return [
        Side("files_safetensors", tensors, lambda: _read_safetensors(tensors, rows.ids)),
        Side("files_npy", plain, lambda: _read_npy(plain, rows.ids, rows.tasks, rows.shape)),
    ]


def _read_safetensors(folder: Path, ids: Sequence[str]) -> Read:
    from safetensors.numpy import load_file

    def read(order: Sequence[int], size: int) -> Iterator[Loaded]:
        for asked in chunks(order, size):
            keys = [ids[i] for i in asked]
            found = [load_file(folder / f"{key}.safetensors") for key in keys]
            arrays = ([row[name] for row in found] for name in ("source", "target", "text"))
            yield collate(keys, Arrays(*arrays), [int(row["task"]) for row in found])

    return read


def _read_npy(folder: Path, ids: Sequence[str], tasks: Sequence[int], shape: tuple[int, ...]) -> Read:
    cut = [int(np.prod(shape)), 2 * int(np.prod(shape))]

    def read(order: Sequence[int], size: int) -> Iterator[Loaded]:
        for asked in chunks(order, size):
            keys = [ids[i] for i in asked]
            found = [np.split(np.load(folder / f"{key}.npy"), cut) for key in keys]
            source, target = ([row[part].reshape(shape) for row in found] for part in (0, 1))
            texts = [row[2].reshape(-1, TEXT_WIDTH) for row in found]
            yield collate(keys, Arrays(source, target, texts), [tasks[i] for i in asked])

    return read
