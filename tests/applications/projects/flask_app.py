"""A Flask application as its documentation teaches it: sync code throughout, served through WSGI."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator

import bells
from asgiref.sync import async_to_sync
from flask import Flask, Response, jsonify, redirect, request, send_file, session, stream_with_context, url_for

from channel_layer import get_channel_layer

app = Flask(__name__)
app.secret_key = "a key for tests"


@app.route("/")
def hello() -> str:
    return "hello from flask"


@app.route("/echo/<path:rest>", methods=["GET", "POST", "PUT"])
def echo(rest: str) -> Response:
    return jsonify(
        method=request.method,
        rest=rest,
        query=request.args.to_dict(flat=False),
        script_name=request.environ["SCRIPT_NAME"],
        remote=request.remote_addr,
        host=request.host,
        x=request.headers.get("X-Boat"),
        body=request.get_data(as_text=True),
        scheme=request.scheme,
    )


@app.route("/headers")
def headers() -> Response:
    response = Response("with headers", status=418, mimetype="text/x-boat")
    response.headers.add("X-Lock", "upper")
    response.headers.add("X-Lock", "lower")
    response.set_cookie("one", "1", httponly=True)
    response.set_cookie("two", "2")
    return response


@app.route("/stream/<bell>")
def stream(bell: str) -> Response:
    def parts() -> Iterator[str]:
        yield f"first for {request.args['who']}"
        bells.heard_in_thread(bell)
        yield "second"

    return Response(stream_with_context(parts()), mimetype="text/plain")


@app.route("/download")
def download() -> Response:
    size = int(request.args["size"])
    return Response((b"d" * min(65_536, size - start) for start in range(0, size, 65_536)), mimetype="text/plain")


@app.route("/left/<bell>")
def left(bell: str) -> Response:
    def parts() -> Iterator[bytes]:
        try:
            while True:
                yield b"." * 65_536
        finally:
            bells.ring_thread(bell)

    return Response(parts(), mimetype="text/plain")


@app.route("/ring/<bell>", methods=["POST"])
def ring(bell: str) -> tuple[str, int]:
    bells.ring_thread(bell)
    return "", 204


@app.route("/heard/<bell>")
def heard(bell: str) -> tuple[str, int]:
    return ("rung", 200) if bells.heard_in_thread(bell) else ("silent", 504)


@app.route("/upload", methods=["POST"])
def upload() -> Response:
    hasher, size = hashlib.sha256(), 0
    source = request.files["file"].stream if request.files else request.stream
    while part := source.read(1 << 20):
        hasher.update(part)
        size += len(part)
    return jsonify(sha256=hasher.hexdigest(), size=size)


@app.route("/file")
def file() -> Response:
    return send_file(io.BytesIO(bytes(range(256)) * 40), mimetype="application/x-boat", download_name="boat.bin")


@app.route("/count")
def count() -> str:
    session["count"] = session.get("count", 0) + 1
    return str(session["count"])


@app.route("/away")
def away() -> Response:
    return redirect(url_for("hello"))


@app.route("/fail")
def fail() -> str:
    raise LookupError("this view always fails")


@app.route("/fail-late")
def fail_late() -> Response:
    def parts() -> Iterator[bytes]:
        yield b"so far so good"
        raise LookupError("this stream always fails")

    return Response(parts(), mimetype="text/plain")


@app.route("/listen/<bell>")
def listen(bell: str) -> Response:
    """An event stream that joins a group by its reply channel, and ends with the bell."""
    async_to_sync(get_channel_layer().group_add)("listeners", request.environ["towpath.reply_channel"])

    def events() -> Iterator[str]:
        yield "data: listening\n\n"
        bells.heard_in_thread(bell)

    return Response(events(), mimetype="text/event-stream")


@app.route("/tell", methods=["POST"])
def tell() -> str:
    """Sends an event to the group."""
    event = {"type": "http.response.body", "body": b"data: ding\n\n"}
    async_to_sync(get_channel_layer().group_send)("listeners", event)
    return "told"
