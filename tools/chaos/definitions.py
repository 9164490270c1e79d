"""The sagas of a run: the examples', with times so short that a run of minutes sees their ends, and inputs for them."""
import copy
import json
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
import harness  # noqa: E402

SHORT = {"maxAttempts": "unlimited", "delay": "200ms", "factor": 2, "maxDelay": "2s", "maxElapsed": "24h"}
# So few that faults use them up: the saga is suspended, and an operator has to retry it.
FEW = {"maxAttempts": 2, "delay": "200ms"}
DEFAULTS = {"attemptTimeout": "3s", "compensation": {"retry": SHORT, "onExhausted": "suspend"}}
ORDER, TRAVEL, TRANSFER, DEBIT = "orders.place", "travel.book", "transfers.cross-border", "accounts.debit"
# Two examples have a service of this name; one environment has one.
RENAMED = {("transfer", "mail"): "bank-mail"}
APPROVAL_ABOVE = 1_000_000


def document(example, name):
    with open(os.path.join(harness.ROOT, "examples", example, f"{name}.json"), encoding="utf-8") as file:
        return json.load(file)


def steps_of(value):
    """Every named step of a definition, however deep."""
    found = {}
    if isinstance(value, dict):
        if isinstance(value.get("name"), str):
            found[value["name"]] = value
        value = list(value.values())
    for member in value if isinstance(value, list) else ():
        found.update(steps_of(member))
    return found


def definitions():
    """As they are registered, children first."""
    order = {**document("order", ORDER), "defaults": copy.deepcopy(DEFAULTS)}
    steps_of(order["steps"])["ship"]["retry"] = FEW
    steps_of(order["steps"])["reserveStock"]["compensation"].update(retry=FEW, onExhausted="suspend")
    travel = document("travel", TRAVEL)
    travel["defaults"] = {**travel["defaults"], **copy.deepcopy(DEFAULTS)}
    steps_of(travel["steps"])["holdRoom"]["completion"]["poll"]["every"] = "1s"
    steps_of(travel["steps"])["issueTicket"]["retry"] = FEW
    transfer = {**document("transfer", TRANSFER), "defaults": copy.deepcopy(DEFAULTS)}
    transfer["services"]["mail"] = {"use": RENAMED[("transfer", "mail")]}
    # The listener knows no roles yet.
    steps_of(transfer["steps"])["decision"]["wait"].pop("allow")
    debit = {**document("transfer", DEBIT), "defaults": copy.deepcopy(DEFAULTS)}
    return [order, travel, debit, transfer]


def services():
    """The names of all services that the definitions call."""
    return sorted({service["use"] for definition in definitions() for service in definition["services"].values()})


def an_input(random, key):
    """(definition, input, whether it will wait for a decision); `key` is its business key."""
    kind = random.choices((ORDER, TRAVEL, TRANSFER), (6, 2, 3))[0]
    if kind == ORDER:
        coupon = {"coupon": f"CP-{key}"} if random.random() < 0.5 else {}
        return ORDER, {"orderId": key, "customerId": "c-4", "cardToken": "tok-visa-4242", **coupon,
                       "items": [{"sku": "needle-90", "qty": 2, "unitCents": 450}]}, False
    if kind == TRAVEL:
        car = {"car": {"class": "compact"}} if random.random() < 0.6 else {}
        travellers = [{"id": name, "name": name.title()} for name in ("ada", "bob", "cyd")[:random.randint(1, 3)]]
        return TRAVEL, {"tripId": key, "travellers": travellers, "flight": {"offerId": "LH-400"}, **car,
                        "hotel": {"hotelId": "seaview", "nights": 2}, "card": "tok-visa-4242"}, False
    waits = random.random() < 0.5
    return TRANSFER, {"transferId": key, "payer": "acme", "payee": "globex", "valueDate": "2026-01-01T00:00:00Z",
                      "amountCents": APPROVAL_ABOVE + 1 if waits else 5000}, waits
