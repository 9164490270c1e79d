"""A participant behind Flask's router: each request is noted with the route that it reached. `router_app.py FILE` prints
its port; a line of FILE is {"saga", "route", "arguments", "query"}."""
import json
import sys

import flask
import werkzeug.serving

app = flask.Flask(__name__)
METHODS = ["GET", "PUT", "DELETE"]
ROUTES = {"collection": "/items", "item": "/items/<item>", "parts": "/items/<item>/parts", "part": "/items/<item>/parts/<part>",
          "file": "/files/<path:name>", "admin": "/admin/<path:name>", "root": "/", "other": "/<path:name>"}


def noting(route):
    def answer(**arguments):
        seen = {"saga": flask.request.headers.get("Saga-Id"), "route": route, "arguments": arguments,
                "query": flask.request.args.to_dict(flat=False)}
        with open(sys.argv[1], "a", encoding="utf-8") as file:
            file.write(json.dumps(seen) + "\n")
        return {"route": route}
    return answer


for name, rule in ROUTES.items():
    app.add_url_rule(rule, name, noting(name), methods=METHODS)


class Quiet(werkzeug.serving.WSGIRequestHandler):
    protocol_version = "HTTP/1.1"

    def log(self, *_):
        pass


if __name__ == "__main__":
    server = werkzeug.serving.make_server("127.0.0.1", 0, app, threaded=True, request_handler=Quiet)
    print(server.port, flush=True)
    server.serve_forever()
