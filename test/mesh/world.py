"""What a run of the mesh starts once: PostgreSQL, nodes, the participant; and sagas that are started, awaited and judged."""
import collections
import os
import shutil
import sys
import tempfile
from dataclasses import dataclass, field

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "e2e"))
import judge  # noqa: E402
import sagas  # noqa: E402
from participant import Participant  # noqa: E402
from support import UNSYNCED_ARGUMENTS, harness  # noqa: E402

BATCH = 200
RESUMES_MAX = 3


@dataclass
class Outcome:
    """What became of the sagas of one case."""
    ends: collections.Counter = field(default_factory=collections.Counter)
    wrong: list = field(default_factory=list)   # (name in the guide or "", what is wrong)
    resumed: int = 0                            # were suspended, and ended after a retry
    unheard: list = field(default_factory=list)  # places at which the proxy did not get to speak
    broken: list = field(default_factory=list)  # whatever else is not as it has to be

    @property
    def sagas(self):
        return sum(self.ends.values())

    def unknown_wrongs(self, known):
        return [f"{name or 'unnamed'}: {what}" for name, what in self.wrong if name not in known]


class World:
    def __enter__(self):
        self.folder = tempfile.mkdtemp(prefix="backstitch-mesh-")
        self.secrets = os.path.join(self.folder, "secrets")
        os.mkdir(self.secrets, 0o700)
        self.opened = []
        try:
            self.postgres = self.opening(harness.Postgres({**harness.POSTGRES_UNSYNCED, "max_connections": 120}))
            self.participant = Participant()
            self.server = self.node("node-a")
            self.put_services("http://127.0.0.1:9")
            for definition in sagas.definitions():
                self.server.register_text(harness.json.dumps(definition))
        except BaseException:
            self.__exit__()
            raise
        return self

    def opening(self, part):
        part.__enter__()
        self.opened.append(part)
        return part

    def node(self, name, *arguments):
        return self.opening(harness.Server(self.postgres.url, node=name, log=os.path.join(self.folder, name), arguments=[
            *UNSYNCED_ARGUMENTS, "--secrets", self.secrets, "--lease", "5s", *arguments]))

    def leave(self, server):
        """A node that is stopped, and hands over what it holds."""
        server.__exit__()
        self.opened.remove(server)

    def put_services(self, url, **more):
        for marked, name in sagas.SERVICES.items():
            status, body, _ = self.server.api("PUT", f"/v1/services/{name}", sagas.service(url, marked, **more))
            assert status in (200, 201), body

    def start(self, starts):
        """@return their ids"""
        ids = []
        for at in range(0, len(starts), BATCH):
            status, body, _ = self.server.api("POST", "/v1/sagas/batch", {"sagas": starts[at:at + BATCH]})
            assert status == 200 and all(result["status"] == 201 for result in body["results"]), body
            ids += [result["id"] for result in body["results"]]
        return ids

    def rest(self):
        """Returns once every saga has ended or is suspended."""
        harness.wait_until(lambda: not self.server.api("GET", "/v1/sagas?limit=1&status=RUNNING&status=COMPENSATING")[1]["sagas"], 180,
                           "every saga to end", 0.1)

    def ended(self, ids):
        """The views of the sagas once all have ended or are suspended, and how many had to be resumed.

        What is suspended is retried as an operator would do it when the storm is over; what is suspended at the end stays so.
        """
        resumed = set()
        self.rest()
        for _ in range(RESUMES_MAX):
            suspended = self.server.api("GET", "/v1/sagas?limit=500&status=SUSPENDED")[1]["sagas"]
            if not suspended:
                break
            self.participant.is_calm = True
            for saga in suspended:
                resumed.add(saga["id"])
                self.server.api("POST", f"/v1/sagas/{saga['id']}/retry", {"reason": "the storm is over"})
            self.rest()
        self.participant.is_calm = False
        self.participant.settle()
        return [self.server.saga(saga) for saga in ids], len(resumed.intersection(ids))

    def complete(self, start):
        """Starts sagas, one after the other, until one completes."""
        harness.wait_until(lambda: self.ended(self.start([start]))[0][0]["status"] == "COMPLETED", 60, "a saga to complete")

    def judged(self, ids, names=None, into=None):
        """`names`: for each saga the name that a wrong end of it has in the guide, or ""."""
        outcome = into or Outcome()
        views, resumed = self.ended(ids)
        outcome.resumed += resumed
        ledger = self.participant.ledger()
        for view, name in zip(views, names or [""] * len(views)):
            outcome.ends[view["status"]] += 1
            wrong = judge.wrong(view["status"], ledger[view["id"]], sagas.STEPS)
            if wrong:
                outcome.wrong.append((name, f"{view['definition']} {view['input']}: {wrong}"))
        return outcome

    def __exit__(self, *_):
        while self.opened:
            self.opened.pop().__exit__(None, None, None)
        if hasattr(self, "participant"):
            self.participant.stop()
        shutil.rmtree(self.folder, ignore_errors=True)
