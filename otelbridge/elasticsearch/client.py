"""One client for Elasticsearch, and one clear line for everything that can be wrong with it."""

from __future__ import annotations

import re
import ssl
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from otelbridge.settings import Settings

if TYPE_CHECKING:
    from elasticsearch import Elasticsearch

# The first whose data streams keep what they refuse.
OLDEST: Final = (9, 1)
# What is answered while the shards of an index have not started: a new one, or a new server.
_STARTING: Final = {
    "illegal_index_shard_state_exception",
    "no_shard_available_action_exception",
    "unavailable_shards_exception",
}


class ElasticsearchError(Exception):
    """Elasticsearch cannot be used; its text is one line for the user.

    Attributes:
        temporary: the same may succeed later, with nothing changed here.
    """

    def __init__(self, message: str, *, temporary: bool = False) -> None:
        super().__init__(" ".join(message.split()))
        self.temporary = temporary


def make_client(
    settings: Settings, *, url: str | None = None, timeout: float = 30.0
) -> Elasticsearch:
    """Make a client; nothing is sent yet.

    Args:
        settings: the address, who signs in, and which authorities are trusted.
        url: another address than the settings'.
        timeout: seconds that one request may take.

    Raises:
        ElasticsearchError: the package is not installed, or the settings contradict one another.
    """
    try:
        from elasticsearch import Elasticsearch

        from otelbridge.elasticsearch.node import CompressingNode
    except ImportError:
        raise ElasticsearchError(
            "Elasticsearch's client is not installed: pip install 'otelbridge[elasticsearch]'"
        ) from None
    address = url or settings.elasticsearch_url
    options: dict[str, Any] = {}
    if settings.elasticsearch_api_key:
        options["api_key"] = settings.elasticsearch_api_key
    elif settings.elasticsearch_username:
        options["basic_auth"] = (
            settings.elasticsearch_username,
            settings.elasticsearch_password or "",
        )
    if address.startswith("https:") and settings.elasticsearch_ca_certs is not None:
        options["ssl_context"] = _trusting(settings.elasticsearch_ca_certs)
    return Elasticsearch(
        _with_port(address),
        request_timeout=timeout,
        node_class=CompressingNode,
        # Whoever asks decides what a failure means, and when to try again.
        max_retries=0,
        retry_on_timeout=False,
        **options,
    )


def _trusting(path: Path) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=str(path))
    except (OSError, ssl.SSLError) as error:
        reason = error.strerror or "it holds no certificate"
        raise ElasticsearchError(
            f"OTELBRIDGE_ELASTICSEARCH_CA_CERTS is {str(path)!r}: {reason}"
        ) from None


def _with_port(url: str) -> str:
    """The address with its port, which the client asks for."""
    scheme, _, rest = url.partition("://")
    host, slash, path = rest.partition("/")
    if not host.rpartition("]")[2].count(":"):
        host = f"{host}:{443 if scheme == 'https' else 80}"
    return f"{scheme}://{host}{slash}{path}"


def check_server(client: Elasticsearch, url: str) -> str:
    """Ask the server what it is.

    Returns:
        Its version, such as ``9.1.3``.

    Raises:
        ElasticsearchError: it is not there, refuses us, or is none that this works with.
    """
    try:
        info = client.info()
    except Exception as error:
        raise explain(error, url) from error
    version = info["version"]
    number = str(version.get("number", ""))
    if version.get("distribution") == "opensearch":
        raise ElasticsearchError(f"{url} is OpenSearch {number}, not Elasticsearch")
    told = re.match(r"(\d+)\.(\d+)", number)
    if told is None or (int(told[1]), int(told[2])) < OLDEST:
        raise ElasticsearchError(
            f"{url} is Elasticsearch {number or 'of an unknown version'}; "
            f"{OLDEST[0]}.{OLDEST[1]} or newer is needed"
        )
    return number


def explain(error: Exception, url: str) -> ElasticsearchError:
    """Say in one line what went wrong, and what to do about it.

    Args:
        error: what the client raised.
        url: the server's address, as the user wrote it.
    """
    if isinstance(error, ElasticsearchError):
        return error
    import elastic_transport
    import elasticsearch

    if isinstance(error, elasticsearch.UnsupportedProductError):
        return ElasticsearchError(
            f"{url} answers, but not as Elasticsearch does: OpenSearch, another server, or a proxy?"
        )
    if isinstance(error, elasticsearch.ApiError):
        return _explain_answer(error, url)
    if isinstance(error, elastic_transport.TlsError):
        return ElasticsearchError(
            f"{url}: TLS failed: {_innermost(error)}; OTELBRIDGE_ELASTICSEARCH_CA_CERTS names the "
            "authorities to trust"
        )
    if isinstance(error, elastic_transport.ConnectionTimeout):
        return ElasticsearchError(f"{url} does not answer in time", temporary=True)
    if isinstance(error, elastic_transport.ConnectionError):
        return ElasticsearchError(f"{url} cannot be reached: {_innermost(error)}", temporary=True)
    if isinstance(error, elastic_transport.SerializationError):
        return ElasticsearchError(f"{url} answers with something that is not JSON")
    return ElasticsearchError(f"{url}: {type(error).__name__}: {error}")


def _explain_answer(error: Any, url: str) -> ElasticsearchError:
    status, type, reason = error.status_code, *reason_of(error.body)
    if is_starting(error):
        return ElasticsearchError(f"{url}: {reason or 'shards are starting'}", temporary=True)
    if status == 401:
        if "expired" in reason:
            return ElasticsearchError(f"{url}: the API key has expired")
        return ElasticsearchError(
            f"{url} does not let us in (401): {reason or 'no reason given'}; check "
            "OTELBRIDGE_ELASTICSEARCH_API_KEY, or _USERNAME and _PASSWORD"
        )
    if status == 403 and type == "cluster_block_exception":
        return ElasticsearchError(
            f"{url} is read-only (403): {reason}; a full disk does this", temporary=True
        )
    if status == 403:
        return ElasticsearchError(f"{url} does not allow it (403): {reason or 'no reason given'}")
    if status == 404:
        return ElasticsearchError(
            f"{url}: not found (404): {reason or 'no such path'}; is the address Elasticsearch's, "
            "and has `otelbridge setup` been run?"
        )
    return ElasticsearchError(
        f"{url} answers {status}: {type}{': ' if type and reason else ''}{reason}",
        temporary=status in {408, 429, 502, 503, 504},
    )


def is_starting(error: Exception) -> bool:
    """Tell whether what the client raised only means that a shard has not started yet."""
    import elasticsearch

    if not isinstance(error, elasticsearch.ApiError):
        return False
    type, _ = reason_of(error.body)
    return type in _STARTING or (
        error.status_code == 503 and type == "search_phase_execution_exception"
    )


def reason_of(body: Any) -> tuple[str, str]:
    """The type and the reason of an error in an answer; empty where it gives none."""
    found = body.get("error") if isinstance(body, dict) else body
    if not isinstance(found, dict):
        return "", str(found or "")[:300]
    # The innermost cause is the one that names the field.
    cause = found
    while isinstance(cause.get("caused_by"), dict):
        cause = cause["caused_by"]
    reason = str(found.get("reason") or "")
    inner = str(cause.get("reason") or "")
    if inner and inner not in reason:
        reason = f"{reason}: {inner}" if reason else inner
    return str(found.get("type") or ""), reason[:1000]


def _innermost(error: Any) -> str:
    while getattr(error, "errors", ()) and isinstance(error.errors[0], Exception):
        error = error.errors[0]
    text = str(getattr(error, "reason", "") or getattr(error, "message", "") or error)
    # urllib3 puts the connection before what happened to it.
    return re.sub(r"^<?HTTPS?Connection[^:]*(?: at 0x[0-9a-f]+>|\)): ", "", text)
