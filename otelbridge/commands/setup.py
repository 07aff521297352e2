"""``otelbridge setup``: index templates for Elasticsearch, dashboards for Kibana."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

import click

from otelbridge.commands.extra import needs_bridge
from otelbridge.commands.options import settings_options
from otelbridge.setting_values import parse_duration
from otelbridge.settings import Settings, read_settings

if TYPE_CHECKING:
    from otelbridge.elasticsearch.client import ElasticsearchError
    from otelbridge.elasticsearch.install import Change

_FIRST_PAUSE: Final = 0.5
_LONGEST_PAUSE: Final = 5.0
_MARKS: Final = {"unchanged": "=", "newer": "=", "created": "+"}


def _duration(ctx: click.Context, parameter: click.Parameter, value: str) -> float:
    try:
        return parse_duration(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


@click.command(
    short_help="Prepare Elasticsearch and Kibana for what is sent to them.",
    epilog="""\b
Examples:
  otelbridge setup                                    http://127.0.0.1:9200
  otelbridge setup --elasticsearch-url https://es.example:9200 --retention 30d
  otelbridge setup --wait 5m                          started beside its servers
""",
)
@settings_options(
    "elasticsearch_url",
    "elasticsearch_api_key",
    "elasticsearch_username",
    "elasticsearch_ca_certs",
    "kibana_url",
    "retention",
)
@click.option("--logsdb", is_flag=True, help="Use index mode logsdb for logs and traces: smaller.")
@click.option(
    "--without",
    multiple=True,
    type=click.Choice(("histogram", "aggregate_metric_double", "pattern")),
    help="What the server lacks, where it is no whole distribution; may be given again.",
)
@click.option(
    "--wait",
    default="1m",
    show_default=True,
    metavar="DURATION",
    callback=_duration,
    help="How long to wait for a server that does not answer yet.",
)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array instead.")
def command(
    logsdb: bool, without: tuple[str, ...], wait: float, as_json: bool, **given: Any
) -> int:
    """Bring index templates to Elasticsearch and dashboards to Kibana, as often as you like.

    What is there already and the same is left alone; what an older version wrote is upgraded, and
    data streams that exist go on with a new index. Says what changed.
    """
    settings = read_settings(**given)
    with needs_bridge("elasticsearch"):
        from otelbridge.elasticsearch.client import ElasticsearchError
        from otelbridge.elasticsearch.templates import TemplateOptions
    options = TemplateOptions(settings.retention, logsdb=logsdb, without=without)
    changes = []
    try:
        for change in _changes(settings, options, wait):
            changes.append(change)
            if not as_json:
                click.echo(_line(change))
    except ElasticsearchError as error:
        raise click.ClickException(str(error)) from None
    if as_json:
        click.echo(json.dumps([asdict(change) for change in changes], indent=2))
    return 0


def _changes(settings: Settings, options: Any, wait: float) -> Iterator[Change]:
    yield from _prepare_elasticsearch(settings, options, wait)
    if settings.kibana_url is None:
        click.echo("Kibana is left out: OTELBRIDGE_KIBANA_URL is not set", err=True)
    else:
        yield from _prepare_kibana(settings, settings.kibana_url, wait)


def _prepare_elasticsearch(settings: Settings, options: Any, wait: float) -> Iterator[Change]:
    from otelbridge.elasticsearch.client import check_server, make_client
    from otelbridge.elasticsearch.install import install_templates

    url = settings.elasticsearch_url
    client = make_client(settings)
    try:
        version = _wait_for(lambda: check_server(client, url), wait)
        click.echo(f"Elasticsearch {version} at {url}", err=True)
        yield from install_templates(client, url, options)
    finally:
        client.close()


def _prepare_kibana(settings: Settings, url: str, wait: float) -> Iterator[Change]:
    from otelbridge.kibana.install import check_kibana, install_objects

    version = _wait_for(lambda: check_kibana(settings, url), wait)
    click.echo(f"Kibana {version} at {url}", err=True)
    yield from install_objects(settings, url)


def _wait_for(ask: Callable[[], str], seconds: float) -> str:
    """Ask until the server answers; what waiting does not cure is raised at once."""
    deadline = time.monotonic() + seconds
    pause = _FIRST_PAUSE
    while isinstance(found := _answer(ask), Exception):
        left = deadline - time.monotonic()
        if not found.temporary or left <= 0:
            raise found
        click.echo(f"waiting up to {left:.0f} s: {found}", err=True)
        time.sleep(min(pause, left))
        pause = min(pause * 2, _LONGEST_PAUSE)
    return found


def _answer(ask: Callable[[], str]) -> str | ElasticsearchError:
    from otelbridge.elasticsearch.client import ElasticsearchError

    try:
        return ask()
    except ElasticsearchError as error:
        return error


def _line(change: Change) -> str:
    mark = _MARKS.get(change.done, "~")
    why = f" ({change.why})" if change.why else ""
    return f"{mark} {change.what}: {change.done}{why}"
