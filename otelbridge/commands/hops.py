"""One marked record sent through each sink, and followed to where it can be read back."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from otelbridge.commands.ask import BridgeClient
from otelbridge.commands.counted import find_counted
from otelbridge.commands.kept import find_kept
from otelbridge.elasticsearch.client import ElasticsearchError, check_server, explain, make_client
from otelbridge.elasticsearch.names import data_stream, refused
from otelbridge.records.uid import new_uid

if TYPE_CHECKING:
    from opentelemetry.sdk._logs import ReadableLogRecord

    from otelbridge.settings import Settings

# The attribute that marks the record; it holds a value that no other record has.
MARK: Final = "otelbridge.check"
MESSAGE: Final = "otelbridge check: a record sent to be found again"

_STEP_SECONDS: Final = 0.2
_ASK_SECONDS: Final = 5.0
_TAIL_BYTES: Final = 2**20


@dataclass(frozen=True, slots=True)
class Hop:
    """One part of the way of a record.

    Attributes:
        sink: which sink it went by.
        hop: ``send``, ``find`` for reading it back, ``refused`` for what Elasticsearch did not
            take lately of anything that was sent, ``kept`` for what processes of this machine
            could not send yet, or ``counted`` for what became of all their records.
        ok: whether it got that far.
        detail: where, and if it did not, why.
        seconds: how long that took.
    """

    sink: str
    hop: str
    ok: bool
    detail: str
    seconds: float


class HopError(Exception):
    """A record got no further; the text says why."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where records may be read back.

    Attributes:
        name: such as ``the bridge at http://127.0.0.1:4319``.
        holds: tells whether it holds the record with a mark; raises :class:`HopError` where it
            cannot be asked.
    """

    name: str
    holds: Callable[[str], bool]


def follow(settings: Settings, *, through_elasticsearch: bool, patience: float) -> Iterator[Hop]:
    """Send a record through each configured sink and look for it.

    Args:
        settings: which sinks there are, and where they lead.
        through_elasticsearch: look there too for what the otlp and udp sinks sent, as when a
            Collector stores it.
        patience: seconds that a record may take to be found.

    Yields:
        Each hop when it is done; after one that failed nothing more of that sink.
    """
    bridge = _bridge(settings)
    elasticsearch = _elasticsearch(settings)
    anywhere = [bridge, *([elasticsearch] if through_elasticsearch else [])]
    ways: dict[str, tuple[Callable[[Settings, str], str], list[Place]]] = {
        "otlp": (_send_otlp, anywhere),
        "udp": (_send_udp, anywhere),
        "elasticsearch": (_send_elasticsearch, [elasticsearch]),
        "file": (_send_file, [_file(settings)]),
        "console": (_send_console, []),
    }
    for sink in settings.sinks:
        send, places = ways[sink]
        mark = new_uid()
        started = time.monotonic()
        try:
            detail, ok = send(settings, mark), True
        except HopError as error:
            detail, ok = str(error), False
        yield Hop(sink, "send", ok, detail, time.monotonic() - started)
        if ok and places:
            yield _find(sink, mark, places, patience)
    if through_elasticsearch or "elasticsearch" in settings.sinks:
        yield from _refused(settings)
    if settings.spool_dir is not None:
        yield from _kept(settings.spool_dir)
    if not {"otlp", "udp"}.isdisjoint(settings.sinks):
        yield from _counted(settings)


def _find(sink: str, mark: str, places: list[Place], patience: float) -> Hop:
    started = time.monotonic()
    while True:
        troubles: list[str] = []
        for place in places:
            found, trouble = _ask(place, mark)
            if found:
                return Hop(sink, "find", True, f"in {place.name}", time.monotonic() - started)
            if trouble:
                troubles.append(trouble)
        seconds = time.monotonic() - started
        if len(troubles) == len(places):
            return Hop(sink, "find", False, "; ".join(troubles), seconds)
        if seconds >= patience:
            names = " nor in ".join(place.name for place in places)
            reasons = "".join(f"; {trouble}" for trouble in troubles)
            detail = f"not in {names} after {patience:g} s{reasons}"
            return Hop(sink, "find", False, detail, seconds)
        time.sleep(_STEP_SECONDS)


def _ask(place: Place, mark: str) -> tuple[bool, str]:
    try:
        return place.holds(mark), ""
    except HopError as error:
        return False, str(error)


def _kept(folder: Path) -> Iterator[Hop]:
    """Tell what waits on disk: not a fault of the way that was tried just now."""
    for kept in find_kept(folder):
        detail = f"{kept.size:,} bytes of {kept.signal} since {kept.since} UTC in {kept.folder}"
        yield Hop(kept.sink, "kept", True, detail, 0.0)


# --- sending ------------------------------------------------------------------------------------


def _record(mark: str) -> logging.LogRecord:
    fields = {"name": "otelbridge.check", "levelno": logging.INFO, "levelname": "INFO"}
    return logging.makeLogRecord({**fields, "msg": MESSAGE, MARK: mark})


def _readable(settings: Settings, mark: str) -> ReadableLogRecord:
    """The record as the SDK has it."""
    from opentelemetry.sdk._logs import LoggerProvider
    from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor

    from otelbridge.resource import build_resource
    from otelbridge.sinks.otlp_logging import OTLPHandler

    kept: Any = InMemoryLogRecordExporter()  # type: ignore[no-untyped-call]
    provider = LoggerProvider(resource=build_resource(settings), shutdown_on_exit=False)
    provider.add_log_record_processor(SimpleLogRecordProcessor(kept))
    OTLPHandler(provider).emit(_record(mark))
    readable: ReadableLogRecord = kept.get_finished_logs()[0]
    return readable


def _send_otlp(settings: Settings, mark: str) -> str:
    from otelbridge.capture import Capture
    from otelbridge.sinks.otlp import OTLPDestination
    from otelbridge.sinks.otlp_trouble import TroubleReport, overhear

    destination = OTLPDestination("logs", settings, TroubleReport())
    # Keeps to itself what is logged while it is sent.
    capture = Capture(overhear)
    capture.install([], logging.INFO)
    try:
        answer = destination.send(destination.encode([_readable(settings, mark)]), 1)
        destination.close()
    finally:
        capture.remove()
    if answer.later or answer.dropped:
        raise HopError(f"{destination.endpoint} did not take it: {answer.reason}")
    return f"taken by {destination.endpoint} ({destination.protocol})"


def _send_udp(settings: Settings, mark: str) -> str:
    from otelbridge.sinks.udp import UDPHandler

    handler = UDPHandler(settings.udp_endpoint, settings.udp_max_bytes)
    handler.emit(_record(mark))
    handler.close()
    host, port = settings.udp_endpoint
    if handler.dropped or not handler.sent:
        raise HopError(f"no datagram could be sent to {host}:{port}")
    return f"sent to {host}:{port}; UDP gives no answer"


def _send_elasticsearch(settings: Settings, mark: str) -> str:
    from otelbridge.elasticsearch.bulk import write_documents
    from otelbridge.elasticsearch.documents import log_document
    from otelbridge.sinks.elasticsearch_records import log_record

    url, namespace = settings.elasticsearch_url, settings.elasticsearch_namespace
    document = log_document(log_record(_readable(settings, mark)), namespace)
    try:
        client = make_client(settings, timeout=_ASK_SECONDS)
        with client:
            version = check_server(client, url)
            outcome = write_documents(client, [document], url=url, namespace=namespace)
    except ElasticsearchError as error:
        raise HopError(str(error)) from None
    if outcome.error is not None:
        raise HopError(str(outcome.error))
    if outcome.refused:
        raise HopError(f"{url} refused the document: {outcome.refused[0].reason}")
    return f"stored by {url} (Elasticsearch {version}) in {document.stream}"


def _send_file(settings: Settings, mark: str) -> str:
    from otelbridge.sinks.file import FileHandler

    path = settings.file_path.absolute()
    try:
        handler = FileHandler(
            path, max_bytes=settings.file_max_bytes, backups=settings.file_backups
        )
    except OSError as error:
        raise HopError(f"{path} cannot be written: {error.strerror or error}") from None
    handler.emit(_record(mark))
    handler.close()
    if handler.dropped:
        raise HopError(f"{path} could not be written")
    return f"written to {path}"


def _send_console(settings: Settings, mark: str) -> str:
    from otelbridge.sinks.console import ConsoleHandler

    ConsoleHandler().emit(_record(mark))
    return "written to standard error, where nothing can be read back"


# --- reading back -------------------------------------------------------------------------------


def _bridge(settings: Settings) -> Place:
    client = BridgeClient.of(settings, _ASK_SECONDS)

    def holds(mark: str) -> bool:
        try:
            found = client.get("/logs.json", query=f'{MARK}: "{mark}"', range="1h", limit=1)
        except click.ClickException as error:
            raise HopError(error.format_message()) from None
        return bool(found["records"])

    return Place(f"the bridge at {settings.url}", holds)


def _elasticsearch(settings: Settings) -> Place:
    url, stream = settings.elasticsearch_url, data_stream("logs", settings.elasticsearch_namespace)
    clients: list[Any] = []

    def holds(mark: str) -> bool:
        try:
            if not clients:
                clients.append(make_client(settings, timeout=_ASK_SECONDS))
            (client,) = clients
            found = client.search(
                index=stream,
                query={"term": {f"attributes.{MARK}": mark}},
                size=1,
                ignore_unavailable=True,
            )
        except Exception as error:
            raise HopError(str(explain(error, url))) from None
        return bool(found["hits"]["hits"])

    return Place(f"Elasticsearch at {url} ({stream})", holds)


def _refused(settings: Settings) -> Iterator[Hop]:
    """Tell of the documents that Elasticsearch refused lately, and where they are kept."""
    started = time.monotonic()
    places = refused(settings.elasticsearch_namespace)
    try:
        with make_client(settings, timeout=_ASK_SECONDS) as client:
            found = client.search(
                index=places,
                query={"range": {"@timestamp": {"gte": "now-24h"}}},
                aggregations={"types": {"terms": {"field": "error.type", "size": 3}}},
                size=1,
                sort=["@timestamp:desc"],
                source_includes=["error.message", "document.index"],
                track_total_hits=True,
                ignore_unavailable=True,
            )
    except Exception:  # what was to be said of this server has been said
        return
    count = found["hits"]["total"]["value"]
    if not count:
        return
    types = ", ".join(
        f"{bucket['doc_count']} {bucket['key']}"
        for bucket in found["aggregations"]["types"]["buckets"]
    )
    newest = {"document": {}, "error": {}, **found["hits"]["hits"][0]["_source"]}
    detail = (
        f"{count} in the last 24 hours, kept in {places}: {types}; the newest, for "
        f"{newest['document'].get('index')}: {str(newest['error'].get('message'))[:300]}"
    )
    yield Hop("elasticsearch", "refused", True, detail, time.monotonic() - started)


def _counted(settings: Settings) -> Iterator[Hop]:
    """Tell what became of the records of the programs that a bridge has heard of lately."""
    started = time.monotonic()
    for sink, detail in find_counted(BridgeClient.of(settings, _ASK_SECONDS)):
        yield Hop(sink, "counted", True, detail, time.monotonic() - started)


def _file(settings: Settings) -> Place:
    path = settings.file_path.absolute()

    def holds(mark: str) -> bool:
        try:
            with path.open("rb") as lines:
                lines.seek(max(0, path.stat().st_size - _TAIL_BYTES))
                return mark.encode() in lines.read()
        except OSError as error:
            raise HopError(f"{path} cannot be read: {error.strerror or error}") from None

    return Place(str(path), holds)
