"""The sagas of the kill loop: the examples and one with branches, each forward and undone."""
import copy
import json
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "e2e"))
from example_sagas import definition, steps_of  # noqa: E402

SHORT = {"maxAttempts": "unlimited", "delay": "50ms", "factor": 2, "maxDelay": "400ms", "maxElapsed": "24h"}
QUICK = {"maxAttempts": 10, "delay": "50ms", "factor": 2, "maxDelay": "400ms", "jitter": "none"}
# The saga's own retries would only add waiting to each of many hundred runs.
DEFAULTS = {"retry": QUICK, "compensation": {"retry": SHORT}}


def quick(value):
    """Every retry of a definition made short; what it leads to stays."""
    for step in steps_of(value).values():
        for owner in (step, step.get("compensation"), step.get("probe")):
            if isinstance(owner, dict) and "retry" in owner:
                owner["retry"] = QUICK if owner is not step.get("compensation") else SHORT
    return {**value, "defaults": {**value.get("defaults", {}), **copy.deepcopy(DEFAULTS)}}


def order():
    return [quick(definition("order", "orders.place"))]


def travel():
    book = quick(definition("travel", "travel.book"))
    steps_of(book)["holdRoom"]["completion"]["poll"]["every"] = "300ms"
    return [book]


def transfer():
    parent = quick(definition("transfer", "transfers.cross-border"))
    steps_of(parent)["decision"]["wait"].pop("allow")
    return [quick(definition("transfer", "accounts.debit")), parent]


def parallel():
    """Three branches at once, one of them with two steps, then the pivot; on the order participants."""
    def pair(name, service, action, undo, **more):
        return {"name": name, "action": {"service": service, "http": action, **more}, "compensation": {"http": undo}}
    return [{
        "dsl": 1, "name": "kill.parallel", "version": 1,
        "input": {"type": "object", "required": ["id"], "properties": {"id": {"type": "string"}}},
        "services": {name: {"use": name} for name in ("orders", "inventory", "payments")},
        "defaults": copy.deepcopy(DEFAULTS),
        "steps": [
            pair("first", "orders", "PUT /orders/${input.id}", "POST /orders/${input.id}/reject"),
            {"name": "all", "parallel": {"branches": {
                "stock": [pair("needles", "inventory", "PUT /reservations/${input.id}-n", "DELETE /reservations/${input.id}-n"),
                          pair("threads", "inventory", "PUT /reservations/${input.id}-t", "DELETE /reservations/${input.id}-t")],
                "coupon": [pair("coupon", "orders", "PUT /coupons/c/redemptions/${input.id}",
                                "DELETE /coupons/c/redemptions/${input.id}")],
                "money": [pair("money", "payments", "POST /authorisations", "POST /authorisations/${input.id}/void",
                               body={"id": "${input.id}"})]}}},
            {"name": "last", "kind": "pivot", "action": {"service": "orders", "http": "PUT /orders/${input.id}/state"}}],
    }]


class Scenario:
    """One saga, how it is made to go, and how it must end."""

    def __init__(self, name, example, definitions, saga_input, faults, status):
        self.name, self.example, self.definitions = name, example, definitions
        self.saga_input, self.faults, self.status = saga_input, faults, status

    def definition(self):
        """Of the saga that is started; its children stand before it."""
        return self.definitions()[-1]

    def texts(self):
        return [json.dumps(one) for one in self.definitions()]


ORDER = {"orderId": "o-1", "customerId": "c-4", "cardToken": "tok-visa-4242", "coupon": "CP1",
         "items": [{"sku": "needle-90", "qty": 2, "unitCents": 450}]}
TRIP = {"tripId": "k-1", "travellers": [{"id": "ada", "name": "Ada"}, {"id": "bob", "name": "Bob"}],
        "flight": {"offerId": "LH-400"}, "hotel": {"hotelId": "seaview", "nights": 2}, "car": {"class": "compact"},
        "card": "tok-visa-4242"}
TRANSFER = {"transferId": "k-1", "payer": "acme", "payee": "globex", "amountCents": 5000,
            "valueDate": "2026-01-01T00:00:00Z"}


def refuse(service, path):
    """For good, however often it is asked."""
    return [{"service": service, "path": path, "phase": "forward", "mode": "refuse", "times": 0}]


SCENARIOS = [
    Scenario("order", "order", order, ORDER, [], "COMPLETED"),
    Scenario("order-undone", "order", order, ORDER, refuse("payments", "/authorisations"), "FAILED"),
    Scenario("parallel", "order", parallel, {"id": "p-1"}, [], "COMPLETED"),
    Scenario("parallel-undone", "order", parallel, {"id": "p-1"},
             # Believed although a node was lost with an earlier copy.
             [{"service": "orders", "match": "/state", "phase": "forward", "mode": "refuse", "status": 422, "times": 0}], "FAILED"),
    Scenario("travel", "travel", travel, TRIP, [], "COMPLETED"),
    Scenario("travel-undone", "travel", travel, TRIP, refuse("billing", "/charges"), "FAILED"),
    Scenario("transfer", "transfer", transfer, TRANSFER, [], "COMPLETED"),
    Scenario("transfer-undone", "transfer", transfer, TRANSFER, refuse("payment-network", "/messages"), "FAILED"),
]
