"""HTTP for channels: one request, one answer, with limits on time and size and no secret let out.

A channel says what it sends and reads what comes back, as a generator of requests; the two drivers
here run it with httpx, one waiting and one for event loops.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import json
import time
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Final

from otelbridge.channels.channel import Channel, ChannelError, Receipt
from otelbridge.channels.message import Message
from otelbridge.channels.quiet import prepare_quiet, quietly

if TYPE_CHECKING:
    import ssl

    import httpx

# The most that is read of an answer; no service says more than this about one message.
_LARGEST_ANSWER: Final = 64 * 1024
# Nobody is waited for longer than a day, whatever a header says.
_LONGEST_WAIT: Final = 86400.0


@dataclass(frozen=True, slots=True)
class Request:
    """A POST.

    Attributes:
        json: the body, where it is JSON alone.
        data: the fields of a multipart form, where there are ``files``.
        files: by the form's field: file name, content, media type.
        content: the body as it is, where it is neither.
    """

    url: str
    json: Mapping[str, Any] | None = None
    data: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, tuple[str, bytes, str]] = field(default_factory=dict)
    content: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back; headers by lower-case name."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def data(self) -> dict[str, Any]:
        """The body as a JSON object, empty where it is none."""
        try:
            read = json.loads(self.body)
        except ValueError:
            return {}
        return read if isinstance(read, dict) else {}

    @property
    def text(self) -> str:
        return self.body.decode("utf-8", "replace")

    @property
    def retry_after(self) -> float | None:
        """Seconds from the ``Retry-After`` header (RFC 9110, section 10.2.3), if it is there."""
        given = self.headers.get("retry-after", "").strip()
        if not given:
            return None
        with contextlib.suppress(ValueError):
            return seconds(float(given))
        with contextlib.suppress(ValueError, TypeError):
            return seconds(parsedate_to_datetime(given).timestamp() - time.time())
        return None


Exchange = Generator[Request, Answer, Receipt]


def seconds(value: Any) -> float | None:
    """Take a wait that a service asked for, if it is a sane number of seconds."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value != value:
        return None
    return min(max(float(value), 0.0), _LONGEST_WAIT)


class HTTPChannel(Channel):
    """A channel that is one exchange of requests and answers."""

    def exchange(self, message: Message, arrived: str = "") -> Exchange:
        """Yield requests, be given their answers, and return the receipt.

        Args:
            message: what to send.
            arrived: what an earlier try of the same message brought there already.
        """
        raise NotImplementedError

    def prepare(self) -> None:
        prepare_quiet()
        _trusted()

    def _prepare_async(self) -> None:
        self.prepare()
        # What httpx speaks to asyncio through is loaded with the first connection, on the loop.
        with contextlib.suppress(ImportError):
            importlib.import_module("anyio._backends._asyncio")

    def send(self, message: Message, arrived: str = "") -> Receipt:
        exchange = self.exchange(message, arrived)
        with quietly(), _client(self.timeout) as client:
            try:
                request = next(exchange)
                while True:
                    with _clearly(self.timeout), client.stream("POST", **_arguments(request)) as it:
                        deadline = time.monotonic() + self.timeout
                        body = bytearray()
                        for part in it.iter_bytes():
                            body += part
                            _check(body, deadline, self.timeout)
                    request = exchange.send(Answer(it.status_code, _headers(it), bytes(body)))
            except StopIteration as end:
                receipt: Receipt = end.value
                return receipt

    async def send_async(self, message: Message, arrived: str = "") -> Receipt:
        import asyncio  # whoever waits for this has it loaded already; others need not

        await asyncio.to_thread(self._prepare_async)
        exchange = self.exchange(message, arrived)
        with quietly():
            async with _async_client(self.timeout) as client:
                try:
                    request = next(exchange)
                    while True:
                        with _clearly(self.timeout):
                            async with client.stream("POST", **_arguments(request)) as it:
                                deadline = time.monotonic() + self.timeout
                                body = bytearray()
                                async for part in it.aiter_bytes():
                                    body += part
                                    _check(body, deadline, self.timeout)
                        request = exchange.send(Answer(it.status_code, _headers(it), bytes(body)))
                except StopIteration as end:
                    receipt: Receipt = end.value
                    return receipt


def failure_of(answer: Answer, said: str, *, retry_after: float | None = None) -> ChannelError:
    """Make an error of an answer that is not a success, by what its status means.

    Args:
        answer: what came back.
        said: the service's own words.
        retry_after: seconds that its body asks to wait, where that is more exact.
    """
    status = answer.status
    line = f"{said} (HTTP {status})" if said else f"HTTP {status}"
    wait = retry_after if retry_after is not None else answer.retry_after
    if status == 429:
        return ChannelError(f"too many messages: {line}", retry_after=wait)
    if status >= 500 or status in {408, 425}:
        return ChannelError(line, retry_after=wait)
    if status in {401, 403, 404, 405, 410} or 300 <= status < 400:
        return ChannelError(line, failure="gone")
    return ChannelError(line, failure="refused")


def _check(body: bytearray, deadline: float, timeout: float) -> None:
    if len(body) > _LARGEST_ANSWER:
        raise ChannelError(
            f"the answer is larger than {_LARGEST_ANSWER // 1024} KB: is this the right address?",
            failure="gone",
        )
    if time.monotonic() > deadline:
        raise ChannelError(f"no whole answer within {timeout:g} s")


def _arguments(request: Request) -> dict[str, Any]:
    given: dict[str, Any] = {"url": request.url, "headers": dict(request.headers)}
    if request.files:
        given["data"] = dict(request.data)
        given["files"] = dict(request.files)
    elif request.content is not None:
        given["content"] = request.content
    else:
        given["json"] = request.json
    return given


def _headers(response: httpx.Response) -> dict[str, str]:
    return {name.lower(): value for name, value in response.headers.items()}


def _httpx() -> Any:
    try:
        import httpx
    except ImportError:
        raise ChannelError(
            "httpx is not installed: pip install 'otelbridge[notify]'", failure="gone"
        ) from None
    return httpx


@functools.cache
def _trusted() -> ssl.SSLContext:
    """The authorities to trust, read once; a client of its own reads them for every message."""
    context: ssl.SSLContext = _httpx().create_ssl_context()
    return context


def _options(timeout: float) -> dict[str, Any]:
    from otelbridge import __version__

    return {
        "timeout": timeout,
        "verify": _trusted(),
        # A secret in a URL or a header goes where the user said and nowhere else.
        "follow_redirects": False,
        "headers": {"User-Agent": f"otelbridge/{__version__}"},
    }


def _client(timeout: float) -> httpx.Client:
    client: httpx.Client = _httpx().Client(**_options(timeout))
    return client


def _async_client(timeout: float) -> httpx.AsyncClient:
    client: httpx.AsyncClient = _httpx().AsyncClient(**_options(timeout))
    return client


@contextlib.contextmanager
def _clearly(timeout: float) -> Iterator[None]:
    """Say in one line what kept a request from being answered."""
    httpx = _httpx()
    try:
        yield
    except httpx.ConnectTimeout:
        raise ChannelError(f"no connection within {timeout:g} s") from None
    except httpx.TimeoutException:
        raise ChannelError(f"no answer within {timeout:g} s") from None
    except httpx.ConnectError as error:
        raise ChannelError(f"cannot connect: {error}") from None
    except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
        raise ChannelError(f"the address is not a URL: {error}", failure="gone") from None
    except httpx.HTTPError as error:
        raise ChannelError(f"the connection broke: {error or type(error).__name__}") from None
