"""A proxy in front of two nodes that are restarted in turn while clients start sagas through it."""
import http.client
import threading

import sagas
from cases import needs
from fronts import Setting
from support import harness

CLIENTS = 4
ROUNDS = 2


class Client(threading.Thread):
    """Starts one saga after the other, each under a key of its own, and repeats what failed with the same key."""

    def __init__(self, url, name, over):
        super().__init__(daemon=True)
        self.url, self.prefix, self.over = url, name, over
        self.started, self.repeated, self.broken = {}, 0, []

    def run(self):
        while not self.over.is_set() and not self.broken:
            key = f"{self.prefix}-{len(self.started)}"
            try:
                self.started[key] = harness.wait_until(lambda: self.ask(key), 120, f"an answer to {key}", 0.05)
            except (AssertionError, TimeoutError) as problem:
                self.broken.append(str(problem))

    def ask(self, key):
        """@return the id of the saga; None if nobody could say it now"""
        cell = sagas.Cell("ingress", "undo", "never-0", fails=len(self.started) % 2 == 0)
        try:
            status, body, _ = harness.request(self.url, "POST", "/v1/sagas?wait=2s", cell.start("none", True), {"Idempotency-Key": key})
        except (OSError, http.client.HTTPException):
            status = 0
        if status in (200, 201):
            return body["id"]
        assert status in (0, 502, 503, 504), f"{key} was answered {status}: {body}"
        self.repeated += 1
        return None


def count_of(world):
    return int(world.postgres.query("select count(*) from backstitch.saga"))


def restart(server):
    harness.stop_process(server.process)
    server.start()


def ingress(world, front, _marked, _count):
    """Every start under a key is one saga, whatever the client had to repeat."""
    needs(front, "checks", "it does not check what is behind it here")
    world.put_services(world.participant.url)
    before = count_of(world)
    other = world.node("node-b")
    over = threading.Event()
    with front(Setting([world.server.port, other.port], checks=True)) as proxy:
        clients = [Client(proxy.setting.url, f"{front.PROGRAM}-{number}", over) for number in range(CLIENTS)]
        for client in clients:
            client.start()
        for _ in range(ROUNDS):
            restart(other)
            restart(world.server)
        over.set()
        for client in clients:
            client.join()
    ids = [saga for client in clients for saga in client.started.values()]
    outcome = world.judged(ids)
    world.leave(other)
    outcome.broken += [problem for client in clients for problem in client.broken]
    if len(set(ids)) != count_of(world) - before:
        outcome.broken.append(f"{len(set(ids))} keys, and {count_of(world) - before} sagas")
    return outcome
