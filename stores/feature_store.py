"""The feature store: LanceDB tables written by upsert, published by tag and read by receipt. Only home of lancedb."""

import hashlib
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import lancedb
import pyarrow as pa
import pyarrow.compute as pc
from filelock import FileLock

from stores.packed_rows import READ_AT_ONCE, PackedRows, open_packed
from stores.receipts import ReceiptError, TableReceipt
from stores.row_digest import row_digest
from stores.schema import QUARANTINE, TableSpec

Row = Mapping[str, Any]
# Never part of a row's digest: where a file lies, as its bytes have a digest of their own, and how long it took.
VOLATILE = frozenset({"seconds", "clip_uri"})
PRIMARY_KEY = {b"lance-schema:unenforced-primary-key:position": b"1"}


class FeatureStore:
    """One stage's folder of tables, at a path or any LanceDB URI. Each folder has one writing stage."""

    def __init__(self, root: Path | str, folder: str) -> None:
        self.folder = folder
        self.uri = f"{root}/{folder}"
        self._db = lancedb.connect(self.uri)

    def upsert(self, spec: TableSpec, rows: Sequence[Row], replace: bool = False) -> int:
        """Write rows whose id is new (if `replace`, also those whose content is) and return how many rows it gained.

        The batch is de-duplicated first: two new rows of one id in a batch would both be inserted.
        """
        if not rows:
            return 0
        unique = {row["id"]: row for row in rows}
        batch = pa.Table.from_pylist([_complete(spec, row) for row in unique.values()], schema=spec.schema)
        table = self._open_or_create(spec)
        merge = table.merge_insert("id").when_not_matched_insert_all()
        if replace:
            merge = merge.when_matched_update_all(where="target.sha256 != source.sha256")
        # Not by counting rows before and after: another process may be writing too.
        return int(merge.execute(batch).num_inserted_rows)

    def retain(self, spec: TableSpec, ids: Sequence[str]) -> None:
        """Delete rows that are not of the present plan; published versions keep them."""
        stale = sorted(self.ids(spec) - set(ids))
        if not stale:
            return
        table = self._open_or_create(spec)
        for start in range(0, len(stale), 500):
            listed = ", ".join(f"'{key}'" for key in stale[start : start + 500])
            table.delete(f"id IN ({listed})")

    def ids(self, spec: TableSpec) -> set[str]:
        """Ids that the table's newest version holds; empty if there is no table."""
        table = self._opened(spec.name)
        return set() if table is None else set(_scan(table, ["id"], None)["id"].to_pylist())

    def has(self, spec: TableSpec) -> bool:
        return self._opened(spec.name) is not None

    def has_version(self, spec: TableSpec, digest: str) -> bool:
        """Whether content of this digest was published."""
        table = self._opened(spec.name)
        return table is not None and digest in table.tags.list()

    def draft(self, spec: TableSpec, columns: Sequence[str] | None = None, where: str | None = None) -> pa.Table:
        """Rows of the newest, possibly unpublished, version, ordered by id: for the stage that owns the table."""
        table = self._opened(spec.name)
        if table is None:
            empty: pa.Table = spec.schema.empty_table()
            return empty.select(list(columns)) if columns else empty
        return _by_id(table, columns, where)

    def quarantine(self, rows: Sequence[Row]) -> None:
        """Keep rejected rows with their reasons."""
        self.upsert(QUARANTINE, rows)

    def publish(self, spec: TableSpec) -> TableReceipt:
        """Tag the newest version with the digest of its content, so that readers may open it."""
        table = self._open_or_create(spec)
        digests = _scan(table, ["id", "sha256"], None)
        digest = _table_digest(digests)
        tag = table.tags.update if digest in table.tags.list() else table.tags.create
        tag(digest, table.version)
        columns = {field.name: str(field.type) for field in spec.schema}
        return TableReceipt(folder=self.folder, table=spec.name, rows=digests.num_rows, digest=digest, columns=columns)

    def open(self, receipt: TableReceipt) -> "PublishedTable":
        """The content a receipt stands for.

        Raises:
            ReceiptError: the table or its tag is gone.
        """
        table = self._opened(receipt.table)
        if table is None:
            raise ReceiptError(f"{self.uri}: table {receipt.table!r} is missing; rerun stage {receipt.folder!r}")
        if receipt.digest not in table.tags.list():
            raise ReceiptError(
                f"{self.uri}: table {receipt.table!r} has no version {receipt.digest[:12]}; "
                f"rerun stage {receipt.folder!r}"
            )
        table.checkout(receipt.digest)
        return PublishedTable(table, receipt)

    def _opened(self, name: str) -> Any | None:
        """A table, or None: also for the folder that a writer leaves when it is killed before the first version."""
        try:
            return self._db.open_table(name)
        except ValueError as error:
            if "was not found" in str(error):
                return None
            raise

    def _open_or_create(self, spec: TableSpec) -> Any:
        table = self._opened(spec.name)
        if table is not None:
            if set(table.schema.names) != set(spec.schema.names):
                raise ReceiptError(
                    f"{self.uri}: table {spec.name!r} has the columns of another release; "
                    f"delete the folder {self.folder!r} of the store and rerun its stage"
                )
            return table
        with self._creating():
            table = self._opened(spec.name)
            if table is None:
                # The key is declared from the first version on, so that two writers of an id cannot both insert it.
                table = self._db.create_table(spec.name, schema=_keyed(spec.schema))
            return table

    def _creating(self) -> AbstractContextManager[object]:
        """LanceDB lets a second creator overwrite the table, with the first one's rows, that it has not seen yet."""
        if "://" in self.uri:
            return nullcontext()  # no lock on an object store: there the state root's one writer must do
        Path(self.uri).mkdir(parents=True, exist_ok=True)
        return FileLock(Path(self.uri) / ".create.lock")


class PublishedTable:
    """A fixed version of a table, opened by its receipt."""

    def __init__(self, table: Any, receipt: TableReceipt) -> None:
        self._table = table
        self.receipt = receipt

    def __len__(self) -> int:
        return self.receipt.rows

    def rows(self, columns: Sequence[str] | None = None, where: str | None = None) -> pa.Table:
        """Rows ordered by id."""
        return _by_id(self._table, columns, where)

    def offsets(self) -> dict[str, int]:
        """Place of every id in storage order, for `take`."""
        return {
            key: i for i, key in enumerate(self._table.search().select(["id"]).limit(None).to_arrow()["id"].to_pylist())
        }

    def take(self, ids: Sequence[str], offsets: Mapping[str, int], columns: Sequence[str]) -> pa.Table:
        """Rows in the order of `ids`, repeats included.

        LanceDB gives rows back in storage order and once each, whatever was asked, so they are aligned by id here.
        """
        places = sorted({offsets[key] for key in ids})
        found = self._table.take_offsets(places).select(["id", *columns]).to_arrow()
        where = {key: i for i, key in enumerate(found["id"].to_pylist())}
        return found.take(pa.array([where[key] for key in ids], pa.int64()))

    def packed(self, folder: Path, columns: Sequence[str]) -> PackedRows:
        """`id` and these columns in a mapped file below a local folder, made if it is not there: for many reads."""
        names = ["id", *columns]
        of = self.receipt

        def read() -> Any:
            return self._table.search().select(names).limit(None).to_batches(batch_size=READ_AT_ONCE)

        return open_packed(folder / f"{of.folder}-{of.table}-{of.digest[:16]}.arrow", names, of.rows, read)


def _scan(table: Any, columns: Sequence[str] | None, where: str | None) -> pa.Table:
    query = table.search()
    if columns:
        query = query.select(list(columns))
    if where:
        query = query.where(where)
    found: pa.Table = query.limit(None).to_arrow()
    return found


def _by_id(table: Any, columns: Sequence[str] | None, where: str | None) -> pa.Table:
    """Rows ordered by id, whether or not it is among the columns asked for."""
    found = _scan(table, list(dict.fromkeys(["id", *columns])) if columns else None, where)
    ordered = found.take(pc.sort_indices(found["id"]))
    return ordered.select(list(columns)) if columns else ordered


def _keyed(schema: pa.Schema) -> pa.Schema:
    key = schema.get_field_index("id")
    return schema.set(key, schema.field(key).with_metadata(PRIMARY_KEY))


def _complete(spec: TableSpec, row: Row) -> dict[str, Any]:
    names = [field.name for field in spec.schema if field.name != "sha256"]
    unknown = set(row) - set(names) - {"sha256"}
    if unknown:
        raise ValueError(f"table {spec.name!r} has no columns {sorted(unknown)}")
    filled = {name: row.get(name) for name in names}
    content = {name: filled[name] for name in names if name not in VOLATILE}
    return {**filled, "sha256": row_digest(content)}


def _table_digest(digests: pa.Table) -> str:
    lines = sorted(f"{key} {sha}" for key, sha in zip(*(digests[c].to_pylist() for c in ("id", "sha256")), strict=True))
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
