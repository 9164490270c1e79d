"""What the end-to-end tests share: the harness, orders, and what every ended order has to fulfil."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "tools"))
import harness  # noqa: E402

harness.end_on_signals()

# A server refuses a database that could lose commits unless it is told.
UNSYNCED_ARGUMENTS = ("--allow-unsafe", "fsync")
EFFECTS = ["createOrder", "reserveStock", "redeemCoupon", "authorise"]


def documented(page, heading, block=0):
    """The statements of an indented block of SQL under a heading of docs/`page`."""
    with open(os.path.join(harness.ROOT, "docs", page), encoding="utf-8") as file:
        lines = file.read().splitlines()
    start = next(i for i, line in enumerate(lines) if line.lstrip("#") == " " + heading and line.startswith("#"))
    blocks, is_inside = [], False
    for line in lines[start + 1:]:
        if line.startswith("#"):
            break
        if line.startswith("    ") and not line.startswith("    $"):
            blocks = blocks if is_inside else [*blocks, []]
            blocks[-1].append(line.split(" -- ")[0].strip())
        is_inside = line.startswith("    ")
    return [statement.strip() for statement in "\n".join(blocks[block]).split(";") if statement.strip()]


def order(number, **changes):
    """An input of the order saga. `number` makes it findable by faults (`match`) and by business key."""
    return {"orderId": f"o-{number}", "customerId": "c-4", "cardToken": "tok-visa-4242", "coupon": f"CP{number}",
            "items": [{"sku": "needle-90", "qty": 2, "unitCents": 450}], **changes}


class World:
    """PostgreSQL, participants and a server with an example's sagas registered; one a test class."""

    def __init__(self, serve_arguments=(), durable=False, example="order", definitions=None, database=None, log=None):
        """`durable`: for tests that kill something. `definitions`: JSON texts, children first; the order saga's by
        default. `database`: the url of one on a cluster without sync that outlives this world. `log`: the server's."""
        self.postgres = None if database else harness.Postgres({} if durable else harness.POSTGRES_UNSYNCED)
        self.database = database or self.postgres.url
        self.participants = harness.Participants(harness.participants_program(example))
        self.definitions = definitions
        self.serve_arguments = [*serve_arguments, *([] if durable else UNSYNCED_ARGUMENTS)]
        self.log = log
        self.server = None
        self.opened = []

    def open(self):
        try:
            for part in filter(None, (self.postgres, self.participants)):
                part.__enter__()
                self.opened.append(part)
            self.server = harness.Server(self.database, arguments=self.serve_arguments, log=self.log)
            self.server.__enter__()
            self.opened.append(self.server)
            self.server.put_services(self.participants)
            if self.definitions is None:
                self.server.register(harness.ORDER_DEFINITION)
            for definition in self.definitions or ():
                self.server.register_text(definition)
        except BaseException:
            self.close()
            raise
        return self

    def close(self):
        while self.opened:
            self.opened.pop().__exit__(None, None, None)

    def start(self, number, key=None, **changes):
        status, body, _ = self.server.start_saga("orders.place", order(number, **changes), key=key)
        assert status == 201, (status, body)
        return body["id"]

    def fault(self, **rule):
        self.participants.fault(**rule)

    def effects(self, saga):
        """Forward effects and undone effects of one saga, each in order, by step."""
        done, undone = [], []
        for entry in self.participants.ledger(saga):
            if entry["effect"] in ("done", "captured"):
                done.append(entry["step"])
            elif entry["effect"] in ("undone", "noop-undo"):
                undone.append(entry["step"])
        return done, undone


def step(saga, name):
    return next(s for s in saga["steps"] if s["name"] == name)


def in_flight(world, saga, name, phase="running"):
    """True once the step is being called."""
    return any(s["name"] == name and s["status"] == phase for s in world.server.saga(saga)["steps"])
