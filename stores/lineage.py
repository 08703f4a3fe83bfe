"""Follow an edit back through the stores: its model, the tables the model was trained on, their clips, raw files."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from stores.feature_store import FeatureStore
from stores.model_registry.tracking import Tracking
from stores.receipts import ReceiptError, TableReceipt
from stores.schema import CLIPS, EDIT_PAIRS, EDITS, GENERATED, TRIPLES, TableSpec
from stores.state import State

ROLES = ("pairs", "clips", "start", "autoencoder", "requests", "editor", "text_encoder")
SHOWN_CLIPS = 5


@dataclass(frozen=True)
class Node:
    """One thing in a lineage, and what it was made from."""

    kind: str
    name: str
    facts: tuple[str, ...] = ()
    made_from: tuple["Node", ...] = ()

    def text(self) -> str:
        """As an indented tree; what a thing was made from is told where it first occurs."""
        return "\n".join(self._lines("", set()))

    def _lines(self, indent: str, told: set[str]) -> Iterator[str]:
        head = f"{self.kind}: {self.name}"
        if self.made_from and head in told:
            yield f"{indent}{head}, as above"
            return
        told.add(head)
        yield indent + head
        yield from (f"{indent}    {fact}" for fact in self.facts)
        for node in self.made_from:
            yield from node._lines(indent + "  ", told)

    def find(self, kind: str) -> Iterator["Node"]:
        """All nodes of a kind in the tree."""
        if self.kind == kind:
            yield self
        for node in self.made_from:
            yield from node.find(kind)


def trace(state: State, edit_id: str) -> Node:
    """The lineage of an edit.

    Raises:
        ReceiptError: no edit, or more than one, begins with this id.
    """
    found = [(folder, row) for folder in _folders(state, EDITS) for row in _edits(state, folder, edit_id)]
    if len(found) != 1:
        raise ReceiptError(f"{state.store}: {len(found)} edits begin with {edit_id!r}; give more of the id")
    folder, row = found[0]
    facts = (f"instruction: {row['instruction']}", f"status: {row['status']}", f"output: {row['output_uri']}")
    sources = _source_nodes(state, row)
    return Node(
        "edit", f"{folder}/{row['id']}", facts, (_model_node(state, row["model"], row["model_digest"]), *sources)
    )


def _edits(state: State, folder: str, edit_id: str) -> list[dict[str, Any]]:
    columns = [
        "id", "request_id", "instruction", "status", "output_uri", "model", "model_digest", "clip_uri", "clip_sha256",
        "clip_ids",
    ]  # fmt: skip
    rows = FeatureStore(state.store, folder).draft(EDITS, columns).to_pylist()
    return [row for row in rows if row["id"].startswith(edit_id)]


def _source_nodes(state: State, row: dict[str, Any]) -> tuple[Node, ...]:
    if row["clip_uri"]:
        return (Node("file", row["clip_uri"], (f"sha256: {row['clip_sha256']}",)),)
    return _clip_nodes(state, row["clip_ids"] or [])


def _clip_nodes(state: State, ids: list[str]) -> tuple[Node, ...]:
    wanted = set(ids)
    store = FeatureStore(state.store, "clips")
    rows = store.draft(CLIPS, ["id", "source_uri", "source_sha256", "licence"]).to_pylist()
    chosen = [row for row in rows if row["id"] in wanted]
    nodes = [
        Node(
            "clip",
            row["id"],
            (),
            (Node("file", row["source_uri"], (f"sha256: {row['source_sha256']}", row["licence"])),),
        )
        for row in chosen[:SHOWN_CLIPS]
    ]
    if len(chosen) > SHOWN_CLIPS:
        nodes.append(Node("clip", f"and {len(chosen) - SHOWN_CLIPS} more"))
    return tuple(nodes)


def _model_node(state: State, name: str, digest: str) -> Node:
    """A registered model, and, from its tags, what it was trained from."""
    versions = Tracking(state).client.search_model_versions(f"name = '{name}' and tags.digest = '{digest}'")
    if not versions:
        return Node("model", f"{name} {digest[:12]}", ("not in this registry",))
    version = versions[0]
    facts = (f"digest: {digest}", f"stage: {version.tags.get('stage', '?')}", f"run: {version.run_id}")
    parents = [_parent_node(state, role, version.tags[role]) for role in ROLES if role in version.tags]
    return Node("model", f"{name} version {version.version}", facts, tuple(parents))


def _parent_node(state: State, role: str, digest: str) -> Node:
    if role in ("start", "autoencoder"):
        for name in ("autoencoder",) if role == "autoencoder" else ("base", "editor"):
            node = _model_node(state, name, digest)
            if node.facts != ("not in this registry",):
                return node
        return Node("model", f"{role} {digest[:12]}", ("not in this registry",))
    if role == "pairs":
        return _pairs_node(state, digest)
    return Node("table" if role in ("clips", "requests") else role, digest)


def _pairs_node(state: State, digest: str) -> Node:
    for folder in _folders(state, EDIT_PAIRS):
        store = FeatureStore(state.store, folder)
        if store.has_version(EDIT_PAIRS, digest):
            # The version that the model saw; the table may hold other rows by now.
            receipt = TableReceipt(folder=folder, table=EDIT_PAIRS.name, rows=0, digest=digest, columns={})
            rows = store.open(receipt).rows(["id", "clip_ids", "maker"]).to_pylist()
            clips = sorted({clip for row in rows for clip in row["clip_ids"]})
            makers = sorted({row["maker"] for row in rows})
            facts = (f"digest: {digest}", f"rows: {len(rows)}", f"makers: {', '.join(makers)}")
            ids = {row["id"] for row in rows}
            raw = (*_clip_nodes(state, clips), *_triple_nodes(store, ids), *_answer_nodes(state, store, ids))
            return Node("table", f"{folder}/{EDIT_PAIRS.name}", facts, raw)
    return Node("table", f"pairs {digest[:12]}", ("not in this store",))


def _answer_nodes(state: State, store: FeatureStore, pairs: set[str]) -> tuple[Node, ...]:
    """The edits that generated pairs were made from, and the models that made those."""
    chosen = [row for row in store.draft(GENERATED).to_pylist() if row["id"] in pairs]
    edits = sorted({row["edit_id"] for row in chosen})
    models = sorted({(row["model"], row["model_digest"]) for row in chosen})
    nodes = [Node("edit", key) for key in edits[:SHOWN_CLIPS]]
    if len(edits) > SHOWN_CLIPS:
        nodes.append(Node("edit", f"and {len(edits) - SHOWN_CLIPS} more"))
    return (*nodes, *(_model_node(state, name, digest) for name, digest in models))


def _triple_nodes(store: FeatureStore, pairs: set[str]) -> tuple[Node, ...]:
    """The files that imported pairs came from."""
    chosen = [row for row in store.draft(TRIPLES).to_pylist() if row["id"] in pairs]
    nodes = [
        Node("triple", row["id"], (), tuple(_file_node(row, part) for part in ("source", "target")))
        for row in chosen[:SHOWN_CLIPS]
    ]
    if len(chosen) > SHOWN_CLIPS:
        nodes.append(Node("triple", f"and {len(chosen) - SHOWN_CLIPS} more"))
    return tuple(nodes)


def _file_node(row: dict[str, Any], part: str) -> Node:
    facts = (f"sha256: {row[f'{part}_sha256']}", row["licence"])
    return Node("file", row[f"{part}_uri"], tuple(filter(None, facts)))


def _folders(state: State, spec: TableSpec) -> list[str]:
    """Stage folders that hold such a table."""
    return sorted(path.parent.name for path in state.store.glob(f"*/{spec.name}.lance"))
