"""The index templates: how the documents of each data stream are indexed.

Every value of an attribute is indexed by its exact text and by its words, and as a number where the
first value that the index saw was one: so a key that holds numbers here and texts there costs no
document. An object's keys become dotted names; beyond :data:`MOST_FIELDS` fields, new ones are kept
but not indexed.

A bare word of a query is looked for in all fields of words, :data:`WORD_FIELDS`. One field that
everything is copied to would be quicker, but where one key is another's beginning, ``user`` and
``user.id``, Elasticsearch takes the longer one for a part of the shorter and refuses to copy it.

Attributes of records, resources and scopes are ``passthrough`` fields: ``user`` finds
``attributes.user`` or, where no record has it, ``resource.attributes.user``.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Final

from otelbridge import schema
from otelbridge.elasticsearch import names

# Told apart by `otelbridge setup`; to be raised with every change of what is written below.
VERSION: Final = 2

PRIORITY: Final = 300
MOST_FIELDS: Final = 3000
ANALYZER: Final = "otelbridge_words"

# Subfields. A name that no attribute is likely to end in: `a` and `a.as_text` cannot both be keys.
AS_TEXT: Final = "as_text"
AS_WORDS: Final = "as_words"
ANY_CASE: Final = "any_case"

# In the mapping's ``meta``: whether a metric is a gauge or a counter.
METRIC_KIND: Final = "metric_kind"

# Where a bare word is looked for, as patterns.
WORD_FIELDS: Final = (
    "body.text",
    "status.message",
    "attributes.exception.message",
    "attributes.exception.stacktrace",
    f"attributes.*.{AS_WORDS}",
    f"body.structured.*.{AS_WORDS}",
    f"name.{AS_WORDS}",
    f"event_name.{AS_WORDS}",
    f"scope.name.{AS_WORDS}",
    f"resource.attributes.service.name.{AS_WORDS}",
)

# Lucene takes no longer term: 32,766 bytes, of which a character has up to four.
LONGEST_TERM: Final = 8191

# What a server may lack that is not a whole distribution, and what then takes its place.
MAY_LACK: Final = ("histogram", "aggregate_metric_double", "pattern")

Mapping = dict[str, Any]


@dataclass(frozen=True, slots=True)
class TemplateOptions:
    """How to index.

    Attributes:
        retention: seconds after which documents are deleted, by data stream lifecycle.
        logsdb: use index mode ``logsdb``: smaller, and the documents are put together again from
            what is indexed when they are read.
        without: of :data:`MAY_LACK` what the server lacks. Histograms and summaries are then kept
            as texts; words are split as the ``standard`` tokenizer does.
    """

    retention: float
    logsdb: bool = False
    without: Collection[str] = ()


def component_templates(options: TemplateOptions) -> dict[str, Mapping]:
    """The component templates by name: what the data streams have in common."""
    return {
        names.RECORDS_TEMPLATE: _template({"settings": _settings(options), "mappings": _records()}),
    }


def index_templates(options: TemplateOptions) -> dict[str, Mapping]:
    """The index templates by name: one a signal, and one for what was refused."""
    return {
        names.LOGS_TEMPLATE: _index_template("logs", _logs(), options),
        names.TRACES_TEMPLATE: _index_template("traces", _traces(), options),
        names.METRICS_TEMPLATE: _index_template("metrics", _metrics(options), options),
        names.DEAD_LETTERS_TEMPLATE: {
            "index_patterns": [f"logs-{names.DEAD_LETTER_DATASET}-*"],
            "data_stream": {},
            "priority": PRIORITY,
            **_template(
                {
                    "settings": _settings(options),
                    "mappings": _dead_letters(),
                    "lifecycle": _lifecycle(options),
                },
            ),
        },
    }


def _template(template: Mapping) -> Mapping:
    return {
        "template": template,
        "version": VERSION,
        "_meta": {"managed_by": "otelbridge", "description": "written by `otelbridge setup`"},
    }


def _index_template(type: names.Type, mappings: Mapping, options: TemplateOptions) -> Mapping:
    template: Mapping = {
        "mappings": mappings,
        "lifecycle": _lifecycle(options),
        # To data streams that are new; others are told one by one.
        "data_stream_options": {
            # A document that it refuses is kept, with the reason.
            "failure_store": {"enabled": True, "lifecycle": _lifecycle(options)}
        },
    }
    if options.logsdb and type != "metrics":
        template["settings"] = {"index.mode": "logsdb"}
    return {
        "index_patterns": [f"{type}-{names.DATASET}-*"],
        "data_stream": {},
        "priority": PRIORITY,
        # What people change themselves is theirs: it wins, and no upgrade touches it.
        "composed_of": [names.RECORDS_TEMPLATE, names.CUSTOM_TEMPLATE],
        "ignore_missing_component_templates": [names.CUSTOM_TEMPLATE],
        **_template(template),
    }


def _lifecycle(options: TemplateOptions) -> Mapping:
    return {"data_retention": f"{max(1, round(options.retention))}s"}


def _settings(options: TemplateOptions) -> Mapping:
    tokenizer: Mapping = {"type": "standard", "max_token_length": 255}
    filters = ["lowercase"]
    analysis: Mapping = {"filter": {}}
    if "pattern" not in options.without:
        # A word is letters, digits and the underscore, as in the embedded store.
        tokenizer = {"type": "pattern", "pattern": r"[^\p{L}\p{N}\p{Mn}\p{Co}_]+"}
        analysis["filter"]["otelbridge_shorten"] = {"type": "truncate", "length": LONGEST_TERM}
        filters.append("otelbridge_shorten")
    analysis["tokenizer"] = {ANALYZER: tokenizer}
    analysis["analyzer"] = {ANALYZER: {"type": "custom", "tokenizer": ANALYZER, "filter": filters}}
    analysis["normalizer"] = {ANY_CASE: {"type": "custom", "filter": ["lowercase"]}}
    return {
        "index": {
            "codec": "best_compression",
            "auto_expand_replicas": "0-1",
            "mapping": {
                "total_fields": {"limit": MOST_FIELDS, "ignore_dynamic_beyond_limit": True},
                "ignore_malformed": True,
            },
            "query": {"default_field": list(WORD_FIELDS)},
        },
        "analysis": analysis,
    }


# --- fields -------------------------------------------------------------------------------------


def _keyword(*, words: bool = True) -> Mapping:
    mapping: Mapping = {"type": "keyword", "ignore_above": LONGEST_TERM}
    if words:
        mapping["fields"] = {AS_WORDS: _text()}
    return mapping


def _number(type: str, *, words: bool = True) -> Mapping:
    fields = {AS_TEXT: _keyword(words=False)}
    if words:
        fields[AS_WORDS] = _text()
    return {"type": type, "ignore_malformed": True, "fields": fields}


def _text() -> Mapping:
    return {"type": "text", "analyzer": ANALYZER, "norms": False}


def _alias(path: str) -> Mapping:
    return {"type": "alias", "path": path}


# Longer than any that is one: kept, but not found.
_ID: Final[Mapping] = {"type": "keyword", "ignore_above": LONGEST_TERM}
_TIME: Final[Mapping] = {"type": "date_nanos"}

# Numbers by the semantic conventions; a text in their place is found by its text.
_WHOLE_NUMBERS: Final = (
    "http.response.status_code",
    "http.request.resend_count",
    "http.request.body.size",
    "http.response.body.size",
    "server.port",
    "client.port",
    "network.peer.port",
    "code.line.number",
    "thread.id",
    "process.pid",
)


def _records() -> Mapping:
    """What logs, spans and metric points have in common."""
    return {
        "date_detection": False,
        "numeric_detection": False,
        "dynamic": True,
        "dynamic_templates": [
            *_dynamic("resource.attributes.*", words=False),
            *_dynamic("scope.attributes.*", words=False),
            *_dynamic("attributes.*"),
        ],
        "properties": {
            "@timestamp": {**_TIME, "ignore_malformed": False},
            "data_stream": {
                "properties": {
                    "type": {"type": "keyword"},
                    "dataset": {"type": "keyword"},
                    "namespace": {"type": "keyword"},
                }
            },
            "attributes": {"type": "passthrough", "dynamic": True, "priority": 30},
            "resource": {
                "properties": {
                    "schema_url": _keyword(words=False),
                    "dropped_attributes_count": {"type": "long"},
                    "attributes": {
                        "type": "passthrough",
                        "dynamic": True,
                        "priority": 20,
                        "properties": {
                            "service.name": _keyword(),
                            "service.version": _keyword(words=False),
                            "service.instance.id": _keyword(words=False),
                            "deployment.environment.name": _keyword(words=False),
                            "host.name": _keyword(words=False),
                            "process.pid": _number("long", words=False),
                        },
                    },
                }
            },
            "scope": {
                "properties": {
                    "schema_url": _keyword(words=False),
                    "name": _keyword(),
                    "version": _keyword(words=False),
                    "dropped_attributes_count": {"type": "long"},
                    "attributes": {"type": "passthrough", "dynamic": True, "priority": 10},
                }
            },
            **{
                line: _alias(f"resource.attributes.{attribute}")
                for line, attribute in schema.LINE_TO_RESOURCE.items()
                if line != attribute
            },
        },
    }


def _dynamic(path: str, *, words: bool = True) -> list[Mapping]:
    """Rules for new fields under a path, by the type of the first value."""
    return [
        {
            f"{path} numbers": {
                "path_match": path,
                "match_mapping_type": ["long", "double"],
                # Not long: a fraction that comes later would be cut off.
                "mapping": _number("double", words=words),
            }
        },
        {
            f"{path} texts": {
                "path_match": path,
                # Not boolean: a text that comes later would be lost to the search.
                "match_mapping_type": ["string", "boolean", "binary", "date"],
                "mapping": _keyword(words=words),
            }
        },
    ]


def _of_records() -> Mapping:
    return {
        "trace_id": _ID,
        "span_id": _ID,
        "dropped_attributes_count": {"type": "long"},
        "trace.id": _alias("trace_id"),
        "span.id": _alias("span_id"),
    }


def _attributes(**more: Mapping) -> Mapping:
    return {
        "type": "passthrough",
        "dynamic": True,
        "priority": 30,
        "properties": {
            **{name: _number("long") for name in _WHOLE_NUMBERS},
            names.ARRIVAL_DELAY: {"type": "double", "ignore_malformed": True},
            names.UDP_SEQUENCE: {"type": "long", "ignore_malformed": True},
            names.UDP_DATAGRAMS: {"type": "long", "ignore_malformed": True},
            "exception.type": _keyword(),
            "exception.message": _text(),
            "exception.stacktrace": _text(),
            **more,
        },
    }


def _logs() -> Mapping:
    return {
        "dynamic_templates": [
            *_dynamic("body.structured.*"),
        ],
        "properties": {
            **_of_records(),
            "observed_timestamp": _TIME,
            "severity_number": {"type": "byte"},
            "severity_text": {
                **_keyword(words=False),
                "fields": {ANY_CASE: {"type": "keyword", "normalizer": ANY_CASE}},
            },
            "event_name": _keyword(),
            "body": {
                "properties": {
                    "text": _text(),
                    "structured": {"type": "object", "dynamic": True, "subobjects": False},
                }
            },
            "attributes": _attributes(
                **{
                    schema.RECORD_UID: _ID,
                    "event.name": _keyword(),
                    "code.file.path": _keyword(),
                    "code.function.name": _keyword(),
                    "thread.name": _keyword(),
                }
            ),
            "message": _alias("body.text"),
            "log.level": _alias(f"severity_text.{ANY_CASE}"),
            "log.logger": _alias("scope.name"),
            "event.name": _alias("event_name"),
            **{
                line: _alias(f"attributes.{attribute}")
                for line, attribute in schema.LINE_TO_ATTRIBUTE.items()
            },
        },
    }


def _traces() -> Mapping:
    return {
        "properties": {
            **_of_records(),
            "trace_state": _keyword(words=False),
            "parent_span_id": _ID,
            "name": _keyword(),
            "kind": _keyword(words=False),
            "duration": {"type": "long"},
            "dropped_events_count": {"type": "long"},
            "dropped_links_count": {"type": "long"},
            "links": {"type": "object", "enabled": False},
            "status": {"properties": {"message": _text(), "code": _keyword(words=False)}},
            "attributes": _attributes(),
            "parent.id": _alias("parent_span_id"),
            "span.name": _alias("name"),
            "span.kind": _alias("kind"),
            "span.duration": _alias("duration"),
        },
    }


def _metrics(options: TemplateOptions) -> Mapping:
    # Takes an object and keeps it in one field.
    kept: Mapping = {"type": "flattened", "ignore_above": LONGEST_TERM}
    histogram: Mapping = {"type": "histogram", "ignore_malformed": True}
    summary: Mapping = {
        "type": "aggregate_metric_double",
        "metrics": ["sum", "value_count"],
        "default_metric": "value_count",
    }
    if "histogram" in options.without:
        histogram = kept
    if "aggregate_metric_double" in options.without:
        summary = kept
    by_name: dict[str, Mapping] = {
        "histogram": histogram,
        "exponential_histogram": histogram,
        "summary": summary,
        **{
            f"{kind}_{type}": {
                "type": type,
                "time_series_metric": kind,
                # What field capabilities tell of a data stream that is no time series.
                "meta": {METRIC_KIND: kind},
                "ignore_malformed": True,
            }
            for kind in ("gauge", "counter")
            for type in ("long", "double")
        },
    }
    return {
        "dynamic_templates": [
            # Without a pattern: they are chosen by name, point by point.
            *({name: {"mapping": mapping}} for name, mapping in by_name.items()),
        ],
        "properties": {
            "start_timestamp": _TIME,
            "unit": _keyword(words=False),
            "_metric_names_hash": _keyword(words=False),
            "metrics": {"type": "passthrough", "dynamic": True, "priority": 5},
        },
    }


def _dead_letters() -> Mapping:
    return {
        "dynamic": False,
        "date_detection": False,
        "properties": {
            "@timestamp": {**_TIME, "ignore_malformed": False},
            "data_stream": {
                "properties": {
                    "type": {"type": "keyword"},
                    "dataset": {"type": "keyword"},
                    "namespace": {"type": "keyword"},
                }
            },
            # Named as in a failure store, so that both are read as one.
            "error": {
                "properties": {
                    "type": _keyword(words=False),
                    "message": _text(),
                }
            },
            "document": {"properties": {"index": _keyword(words=False), "id": _ID}},
            # The document as JSON text: kept whole, and never itself a reason to refuse it.
            "original": {"type": "keyword", "index": False, "doc_values": False},
        },
    }
