"""Writing documents in bulk, and telling apart what became of each.

A document is *stored*; or it is there already, from an earlier attempt; or the server had no room
for it and may take it *later*; or it is *refused* for what it holds. A refused document is never
tried again. Elasticsearch itself keeps it, with the reason, in the failure store of its data
stream; where it does not (the request was refused as a whole, or somebody switched the failure
store off), it is written, as text and with the reason, to the data stream of dead letters.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from otelbridge.elasticsearch import names
from otelbridge.elasticsearch.bulk_body import (
    WrittenDocument,
    WrittenDocuments,
    document_lines,
)
from otelbridge.elasticsearch.client import ElasticsearchError, explain, reason_of
from otelbridge.elasticsearch.documents import Document, timestamp

if TYPE_CHECKING:
    from elasticsearch import Elasticsearch

# Of one request, before compression. The server's own limit is 100 MB; small ones are faster.
MAX_REQUEST_BYTES: Final = 8 * 2**20
# A request that is no larger is not made smaller because the server is busy.
ENOUGH_BYTES: Final = 2**20
# Of a refused document that is kept; beyond it lies what made the server refuse it.
MAX_ORIGINAL_CHARS: Final = 8 * 2**20
# Of one batch whose reasons are read.
_MOST_REASONS: Final = 100

# Not the document's fault: too busy, shutting down, out of disk, not allowed, not set up.
_LATER_STATUS: Final = frozenset({401, 403, 404, 408, 429, 502, 503, 504})
_LATER_TYPES: Final = frozenset(
    {
        "cluster_block_exception",
        "es_rejected_execution_exception",
        "circuit_breaking_exception",
        "unavailable_shards_exception",
        "node_closed_exception",
        "process_cluster_event_timeout_exception",
    }
)


AnyDocument: TypeAlias = Document | WrittenDocument


@dataclass(frozen=True, slots=True)
class Refusal:
    """A document that will never be stored as it is.

    Attributes:
        type: Elasticsearch's name for what is wrong, such as ``document_parsing_exception``.
        reason: its words; empty where it keeps the document and does not let us read why.
        kept: where Elasticsearch itself keeps it; empty where that is for us to do.
    """

    document: AnyDocument
    type: str
    reason: str
    kept: str = ""


@dataclass(slots=True)
class Outcome:
    """What became of documents.

    Attributes:
        stored: how many were stored now, dead letters not counted.
        duplicates: how many were there already.
        refused: what was refused; each is kept, by Elasticsearch or as a dead letter.
        later: what may be stored later; dead letters among it.
        error: why, where there is something in ``later``.
        lost: refused documents whose dead letter was refused too.
    """

    stored: int = 0
    duplicates: int = 0
    refused: list[Refusal] = field(default_factory=list)
    later: list[AnyDocument] = field(default_factory=list)
    error: ElasticsearchError | None = None
    lost: list[Refusal] = field(default_factory=list)


def write_documents(
    client: Elasticsearch,
    documents: Sequence[AnyDocument],
    *,
    url: str,
    namespace: str,
    max_bytes: int = MAX_REQUEST_BYTES,
) -> Outcome:
    """Try once to store documents, and dead letters for those that are refused.

    Args:
        client: reaches the server.
        documents: in the order of their writing.
        url: the server's address, for messages.
        namespace: of the dead letters' data stream.
        max_bytes: the size of one request; a larger document is sent alone.

    Returns:
        What became of each; a server that cannot be reached is told by ``error``, not raised.
    """
    outcome = _write(client, documents, url, max_bytes)
    if not outcome.refused:
        return outcome
    outcome.refused = _with_reasons(client, outcome.refused)
    letters = [dead_letter(one, namespace) for one in outcome.refused if not one.kept]
    if not letters:
        return outcome
    if outcome.error is not None and not outcome.error.temporary:
        outcome.later += letters
        return outcome
    written = _write(client, letters, url, max_bytes)
    outcome.later += written.later
    outcome.error = written.error or outcome.error
    outcome.lost = written.refused
    return outcome


def merge(outcomes: Sequence[Outcome]) -> Outcome:
    """Put together what became of parts of a batch."""
    return Outcome(
        stored=sum(outcome.stored for outcome in outcomes),
        duplicates=sum(outcome.duplicates for outcome in outcomes),
        refused=[refusal for outcome in outcomes for refusal in outcome.refused],
        later=[document for outcome in outcomes for document in outcome.later],
        error=next((outcome.error for outcome in outcomes if outcome.error is not None), None),
        lost=[refusal for outcome in outcomes for refusal in outcome.lost],
    )


def dead_letter(refusal: Refusal, namespace: str) -> Document:
    """Write the document that tells of a refused one and holds it as text."""
    document = refusal.document
    original = document_lines(document)[1].decode().rstrip("\n")
    id = document.id or blake2b(original.encode(), digest_size=16).hexdigest()
    if len(original) > MAX_ORIGINAL_CHARS:
        original = f"{original[:MAX_ORIGINAL_CHARS]}…[cut: {len(original)} characters]"
    source = {
        "@timestamp": timestamp(time.time_ns()),
        "data_stream": {
            "type": "logs",
            "dataset": names.DEAD_LETTER_DATASET,
            "namespace": namespace,
        },
        "error": {"type": refusal.type, "message": refusal.reason},
        "document": {"index": document.stream, "id": id},
        "original": original,
    }
    return Document(names.dead_letters(namespace), id, source)


def _write(
    client: Elasticsearch, documents: Sequence[AnyDocument], url: str, max_bytes: int
) -> Outcome:
    import elastic_transport
    import elasticsearch

    outcome = Outcome()
    bulk: Any = client.bulk  # takes JSON that is ready, too
    requests = deque(_requests(documents, max_bytes))
    while requests:
        request = requests.popleft()
        try:
            answer = bulk(
                operations=[b"".join(request.lines)],
                require_data_stream=True,
                filter_path=["items.*.status", "items.*.error", "items.*.failure_store"],
            )
        except elasticsearch.ApiError as error:
            # A server counts the bytes of what it works on: what is too much for it now may be
            # taken in parts.
            too_much = error.status_code == 429 and request.size > ENOUGH_BYTES
            if error.status_code not in {400, 413} and not too_much:
                outcome.error = explain(error, url)
            elif len(request.documents) > 1:
                # One document must not take the others with it.
                requests.extendleft(reversed(request.halves()))
                continue
            elif too_much:
                outcome.error = explain(error, url)
            else:
                type, reason = reason_of(error.body)
                too_large = "larger than the server takes" if error.status_code == 413 else ""
                outcome.refused.append(
                    Refusal(
                        request.documents[0],
                        type or f"http_{error.status_code}",
                        reason or too_large,
                    )
                )
                continue
        except elastic_transport.TransportError as error:
            outcome.error = explain(error, url)
        else:
            _sort(request.documents, answer.body, outcome, url)
            continue
        # The next request would fare no better.
        outcome.later += request.documents
        for request in requests:
            outcome.later += request.documents
        break
    return outcome


def _sort(documents: Sequence[AnyDocument], answer: Any, outcome: Outcome, url: str) -> None:
    """Put each document where its part of the answer says."""
    for document, item in zip(documents, answer["items"], strict=True):
        result = item["create"]
        status = result["status"]
        if status < 300:
            if result.get("failure_store") == "used":
                outcome.refused.append(Refusal(document, "", "", names.failures(document.stream)))
            else:
                outcome.stored += 1
            continue
        if status == 409:
            outcome.duplicates += 1
            continue
        type, reason = reason_of(result)
        if status in _LATER_STATUS or type in _LATER_TYPES:
            outcome.later.append(document)
            outcome.error = _later_error(document, status, type, reason, url)
        else:
            outcome.refused.append(Refusal(document, type or f"http_{status}", reason))


def _with_reasons(client: Elasticsearch, refused: list[Refusal]) -> list[Refusal]:
    """Read why documents were refused that Elasticsearch keeps, where it lets us."""
    kept = {one.document.id: one for one in refused if one.kept and one.document.id is not None}
    if not kept:
        return refused
    places = ",".join(sorted({one.kept for one in kept.values()}))
    try:
        client.indices.refresh(index=places)
        answer = client.search(
            index=places,
            query={"terms": {"document.id": list(kept)[:_MOST_REASONS]}},
            size=_MOST_REASONS,
            source_includes=["document.id", "error.type", "error.message"],
        )
    except Exception:  # a key that may only add documents: they are kept all the same
        return refused
    reasons = {}
    for hit in answer["hits"]["hits"]:
        error = hit["_source"].get("error") or {}
        reasons[hit["_source"]["document"]["id"]] = error.get("type", ""), error.get("message", "")
    return [
        replace(one, type=reasons[one.document.id][0], reason=reasons[one.document.id][1])
        if one.kept and one.document.id in reasons
        else one
        for one in refused
    ]


def _later_error(
    document: AnyDocument, status: int, type: str, reason: str, url: str
) -> ElasticsearchError:
    if status == 404:
        return ElasticsearchError(
            f"{url} has no data stream {document.stream} and no template for it: "
            "run `otelbridge setup`"
        )
    if status in {401, 403} and type != "cluster_block_exception":
        return ElasticsearchError(f"{url} does not allow it ({status}): {reason or type}")
    return ElasticsearchError(f"{url} has no room ({status}): {reason or type}", temporary=True)


@dataclass(slots=True)
class _Request:
    documents: Sequence[AnyDocument]
    lines: Sequence[bytes]

    @property
    def size(self) -> int:
        return sum(map(len, self.lines))

    def halves(self) -> list[_Request]:
        middle = len(self.documents) // 2
        return [
            _Request(self.documents[:middle], self.lines[: 2 * middle]),
            _Request(self.documents[middle:], self.lines[2 * middle :]),
        ]


def _requests(documents: Sequence[AnyDocument], max_bytes: int) -> Iterator[_Request]:
    if isinstance(documents, WrittenDocuments):
        whole = _Request(documents, documents.lines)
        if documents and whole.size <= max_bytes:
            yield whole
            return
    taken: list[AnyDocument] = []
    lines: list[bytes] = []
    size = 0
    for document in documents:
        added = document_lines(document)
        if taken and size + len(added[0]) + len(added[1]) > max_bytes:
            yield _Request(taken, lines)
            taken, lines, size = [], [], 0
        taken.append(document)
        lines += added
        size += len(added[0]) + len(added[1])
    if taken:
        yield _Request(taken, lines)
