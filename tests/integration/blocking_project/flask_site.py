"""A Flask view that notifies a client."""

import flask
from notifying import notify

app = flask.Flask(__name__)


@app.post("/notify")
def view() -> str:
    """Notify the client that the form names."""
    notify(flask.request.form["channel"], flask.request.form["text"])
    return "done"
