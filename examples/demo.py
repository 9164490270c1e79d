#!/usr/bin/env python3
"""The order saga through good and bad days, on a private PostgreSQL with real services.

Run it as `./dev demo`. Exits 0 only if every saga ended as it had to and the participants' own ledger shows no
broken promise. `--keep` leaves everything running, with the next commands to type.
"""
import argparse
import os
import signal
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "tools"))
import harness  # noqa: E402

COLOUR = sys.stdout.isatty() and not os.environ.get("NO_COLOR")


def paint(code, text):
    return f"\033[{code}m{text}\033[0m" if COLOUR else text


class Demo:
    def __init__(self, postgres, participants, server):
        self.postgres, self.participants, self.server = postgres, participants, server
        self.problems = []

    def order(self, number):
        return {"orderId": f"o-{number}", "customerId": "c-4", "cardToken": "tok-visa-4242", "coupon": "SPRING",
                "items": [{"sku": "needle-90", "qty": 2, "unitCents": 450},
                          {"sku": "thread-red", "qty": 1, "unitCents": 1250}]}

    def start(self, number):
        status, body, _ = self.server.start_saga("orders.place", self.order(number), key=f"demo-{number}")
        if status != 201:
            raise RuntimeError(f"the start was answered {status}: {body}")
        return body["id"]

    def expect(self, fact, what):
        if not fact:
            self.problems.append(what)
            print(paint(31, f"  ✘ {what}"))

    def show(self, saga):
        environment = {**os.environ, "BACKSTITCH_SERVER": self.server.url}
        if COLOUR:
            environment["CLICOLOR_FORCE"] = "1"
        sys.stdout.flush()
        subprocess.run([harness.PROGRAM, "show", saga], env=environment, check=True)

    def finish(self, saga, status, failure=None):
        """Waits for the end, shows it, and holds it against what had to come."""
        ended = self.server.ended(saga, 90)
        self.show(saga)
        self.expect(ended["status"] == status, f"saga {saga} ended {ended['status']}, not {status}")
        if failure:
            code = (ended["failure"] or {}).get("code")
            self.expect(code == failure, f"saga {saga} failed with {code}, not {failure}")
        violations = self.participants.violations()
        self.expect(not violations, f"the ledger shows broken promises: {violations}")
        if not violations:
            print(paint(32, f"  ledger: {len(self.participants.ledger(saga))} entries, every promise held"))
        self.participants.clear()
        return ended

    def completes(self):
        self.finish(self.start(1), "COMPLETED")

    def refused_and_undone(self):
        self.participants.fault(service="payments", path="/authorisations", phase="forward", mode="refuse", status=402,
                                body={"error": "declined"}, times=1)
        ended = self.finish(self.start(2), "FAILED", "CARD_DECLINED")
        undone = [s["name"] for s in ended["steps"] if s["status"] == "compensated"]
        self.expect(set(undone) == {"createOrder", "reserveStock", "redeemCoupon"}, f"undone were {undone}")

    def answer_lost(self):
        self.participants.fault(service="payments", path="/authorisations", phase="forward", mode="drop-after", times=5)
        ended = self.finish(self.start(3), "COMPLETED")
        step = next(s for s in ended["steps"] if s["name"] == "authorise")
        self.expect(step["attempts"] == 5, f"authorise had {step['attempts']} attempts, not 5 and a probe")

    def flaky(self):
        self.participants.fault(service="inventory", path="/reservations", phase="forward", mode="error-before", times=2)
        ended = self.finish(self.start(4), "COMPLETED")
        step = next(s for s in ended["steps"] if s["name"] == "reserveStock")
        self.expect(step["attempts"] == 3, f"reserveStock had {step['attempts']} attempts, not 3")

    def killed(self):
        self.participants.fault(service="payments", path="/authorisations", phase="forward", mode="delay", delayMs=1500,
                                times=1)
        saga = self.start(5)
        harness.wait_until(lambda: any(s["name"] == "authorise" and s["status"] == "running"
                                       for s in self.server.saga(saga)["steps"]), 20, "the payment to be in flight")
        self.server.kill()
        print(paint(33, "  SIGKILL to the engine while the payment was in flight; starting it again"))
        self.server.start()
        self.finish(saga, "COMPLETED")

    def run(self):
        self.server.put_services(self.participants)
        self.server.register(harness.ORDER_DEFINITION)
        for title, scene in (("An order that completes", self.completes),
                             ("A card that is declined: everything is undone, last first", self.refused_and_undone),
                             ("A payment whose answer is lost, five times: unknown, then found by the probe",
                              self.answer_lost),
                             ("A flaky inventory service: tried again with the same key", self.flaky),
                             ("The engine is killed in the middle of a payment", self.killed)):
            print("\n" + paint(1, title))
            scene()
        return self.problems


def keep_running(server, participants):
    print("\n" + paint(1, "Everything is left running. Next:"))
    print(f"  export BACKSTITCH_SERVER={server.url}\n"
          f"  build/backstitch list\n"
          f"  build/backstitch start orders.place --input examples/order/input.json --wait 30s\n"
          f"  curl -s {participants.urls['orders']}/ledger\n"
          f"  curl -s -X POST {participants.urls['orders']}/faults -d '"
          '{"service":"payments","path":"/authorisations","mode":"refuse","status":402}' + "'\n"
          "Ctrl-C ends it.")
    signal.sigwait({signal.SIGINT, signal.SIGTERM})


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keep", action="store_true", help="leave everything running at the end")
    options = parser.parse_args()
    harness.require_build()
    with harness.Postgres() as postgres, harness.Participants() as participants, \
            harness.Server(postgres.url) as server:
        problems = Demo(postgres, participants, server).run()
        print()
        if problems:
            print(paint(31, f"{len(problems)} promise(s) broken:"), *problems, sep="\n  ")
        else:
            print(paint(32, "Every promise held."))
        if options.keep:
            keep_running(server, participants)
    return 1 if problems else 0


def main_with_a_reader():
    """Ends quietly where nobody reads any more, as in `./dev demo | head`."""
    try:
        status = main()
        sys.stdout.flush()
        return status
    except BrokenPipeError:
        # Python flushes once more at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


if __name__ == "__main__":
    sys.exit(main_with_a_reader())
