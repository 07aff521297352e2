"""A Flask app with every kind of route and end of a request that Flask has."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import flask
from flask.views import MethodView
from opentelemetry import baggage, trace
from werkzeug.routing import BaseConverter, ValidationError

Note = Callable[[str], None]


class Stop(BaseException):
    """Ends a request without being an error."""


class Even(BaseConverter):
    """Takes even numbers."""

    def to_python(self, value: str) -> int:
        if not value.isdigit() or int(value) % 2:
            raise ValidationError
        return int(value)


class Broken(BaseConverter):
    """Fails while the URL is matched, before any function of the app runs."""

    def to_python(self, value: str) -> int:
        raise RuntimeError("no converter today")


def add_routes(app: flask.Flask, note: Note, wait: Callable[[float], None]) -> None:
    """Give an app its routes.

    Args:
        app: a new one.
        note: is told what the app's functions see.
        wait: lets time pass, in seconds.
    """
    app.url_map.converters.update(even=Even, broken=Broken)
    tracer = trace.get_tracer("shop", tracer_provider=app.extensions["tracers"])

    def here(place: str) -> None:
        context = trace.get_current_span().get_span_context()
        note(f"{place}: {context.trace_id:x}/{context.span_id:x} {dict(baggage.get_all())}")

    @app.url_value_preprocessor
    def prepare(_: str | None, values: dict[str, Any] | None) -> None:
        if flask.request.args.get("prepare") == "boom":
            raise RuntimeError("not prepared")

    @app.before_request
    def before() -> Any:
        here("before")
        match flask.request.args.get("before"):
            case "answer":
                return "closed", 503
            case "refuse":
                flask.abort(401)
            case "boom":
                raise RuntimeError("before")
        return None

    @app.after_request
    def after(response: flask.Response) -> flask.Response:
        here("after")
        response.headers.add("X-Shop", "one")
        response.headers.add("X-Shop", "two")
        if flask.request.args.get("after") == "boom":
            raise RuntimeError("after")
        if status := flask.request.args.get("status"):
            response.status = status
        return response

    @app.teardown_request
    def tear_down(error: BaseException | None) -> None:
        here(f"teardown {error!r}")

    @app.errorhandler(LookupError)
    def not_there(error: LookupError) -> tuple[str, int]:
        here("handler")
        return str(error), 409

    @app.get("/orders/<int:number>")
    def order(number: int) -> str:
        here("view")
        return f"order {number}"

    @app.route("/any", methods=["GET", "POST", "PUT", "DELETE", "PATCH", "TRACE", "BREW", "QUERY"])
    def any_method() -> str:
        return flask.request.method

    @app.get("/files/<path:name>")
    def file(name: str) -> str:
        return name

    @app.get("/even/<even:number>")
    def even(number: int) -> str:
        return str(number)

    @app.get("/broken/<broken:number>")
    def broken(number: int) -> str:
        return str(number)

    @app.get("/folder/")
    def folder() -> str:
        return "folder"

    @app.get("/slow")
    def slow() -> str:
        wait(0.3)
        return "slow"

    @app.get("/very-slow")
    def very_slow() -> str:
        wait(11.0)
        return "very slow"

    @app.get("/child")
    def child() -> str:
        with tracer.start_as_current_span("child"):
            here("child")
            trace.get_current_span().add_event("milk", {"price": 3})
        trace.get_current_span().set_attribute("customer", "alice")
        return "child"

    @app.get("/spans")
    def spans() -> str:
        """Does with spans what a program may do with them."""
        request = trace.get_current_span()
        request.update_name("spans of a shop")
        request.set_attributes(
            {"price": 9.5, "gift": True, "sizes": ["s", "m"], "http.route": "/x"}
        )
        request.add_link(request.get_span_context(), {"why": "itself"})
        attributes = {"currency": "EUR", "fee": 0.25, "at.once": False}
        client = trace.SpanKind.CLIENT
        with tracer.start_as_current_span("pay", kind=client, attributes=attributes) as pay:
            wait(0.1)
            pay.set_status(trace.StatusCode.OK)
            for name in ("counted", "packed"):
                pay.add_event(name, {"items": 2})
                pay.add_link(request.get_span_context(), {"why": name})
            pay.set_attribute("currency", "CHF")
            try:
                with tracer.start_as_current_span(
                    "ask the bank", links=[trace.Link(pay.get_span_context())]
                ):
                    wait(0.1)
                    raise LookupError("no money")
            except LookupError as error:
                pay.record_exception(error, {"account": 7})
        pay.set_attribute("late", True)
        request.set_status(trace.StatusCode.ERROR, "not paid")
        later = tracer.start_span("send", attributes={"parcels": 2})
        later.set_status(trace.StatusCode.ERROR, "not sent")
        later.end(later.start_time + 5)  # type: ignore[attr-defined]
        return "spans"

    @app.get("/inner")
    def inner() -> Any:
        """Asks the app itself, within the request."""
        answer = app.test_client().get("/orders/1?token=s3cret")
        here("view")
        return answer.get_data()

    @app.get("/moved")
    def moved() -> Any:
        return flask.redirect(flask.url_for("order", number=7, token="s3cret"))

    @app.get("/status/<int:code>")
    def status(code: int) -> Any:
        return "", code

    @app.get("/abort/<int:code>")
    def abort(code: int) -> Any:
        flask.abort(code)

    @app.get("/nothing")
    def nothing() -> Any:
        return None

    @app.get("/wsgi")
    def wsgi() -> Any:
        def application(environ: Any, start_response: Any) -> list[bytes]:
            start_response("202 Taken", [("Content-Type", "text/plain")])
            return [b"taken"]

        return application

    @app.get("/this-file")
    def this_file() -> Any:
        return flask.send_file(__file__)

    @app.get("/boom")
    def boom() -> Any:
        raise ValueError("oh no")

    @app.get("/handled")
    def handled() -> Any:
        raise KeyError("handled")

    @app.get("/stop")
    def stop() -> Any:
        raise Stop

    @app.get("/stream")
    def stream() -> Any:
        here("stream")

        def parts() -> Iterator[str]:
            here("part")
            yield "a"
            wait(0.2)
            yield flask.request.path

        return flask.Response(flask.stream_with_context(parts()))

    @app.get("/plain-stream")
    def plain_stream() -> Any:
        here("stream")

        def parts() -> Iterator[str]:
            here("part")
            yield "a"

        return flask.Response(parts())

    @app.get("/stream-boom")
    def stream_boom() -> Any:
        def parts() -> Iterator[str]:
            yield "a"
            raise ValueError("in the middle")

        return flask.Response(parts())

    class View(MethodView):
        """A class with two methods."""

        def get(self) -> str:
            return "get"

        def post(self) -> tuple[str, int]:
            return "post", 201

    app.add_url_rule("/view", view_func=View.as_view("view"))

    shop = flask.Blueprint("shop", __name__, url_prefix="/shop")
    cart = flask.Blueprint("cart", __name__, url_prefix="/cart")

    @shop.before_request
    def in_shop() -> None:
        here("before shop")

    @shop.teardown_request
    def leave_shop(_: BaseException | None) -> None:
        here("teardown shop")

    @cart.errorhandler(ValueError)
    def cart_is_full(error: ValueError) -> tuple[str, int]:
        return str(error), 507

    @shop.get("/")
    def shop_front() -> str:
        here("view")
        return "front"

    @cart.get("/<sku>")
    def item(sku: str) -> str:
        here("view")
        return sku

    @cart.get("/full")
    def full() -> str:
        raise ValueError("full")

    shop.register_blueprint(cart)
    app.register_blueprint(shop)
