"""Clients: they start, signal and cancel sagas, and remember what was answered to them."""
import http.client
import json
import subprocess
import threading
import time
import random as randoms

from definitions import an_input, harness

CALL_SECONDS_MAX = 6
PAUSE = 0.15


class Start:
    """One start, however often it was asked for."""

    def __init__(self, key, definition, way):
        self.key, self.definition, self.way = key, definition, way
        self.ids = set()          # of every answer; one is right
        self.tries = 0
        self.rolled_back = False  # by SQL, never committed
        self.refused = None
        self.first_asked = time.time()
        self.answered_at = None

    @property
    def answered(self):
        return bool(self.ids)


class Said:
    """A signal or a cancel that was answered, or not."""

    def __init__(self, kind, saga, token, way):
        self.kind, self.saga, self.token, self.way = kind, saga, token, way
        self.status = None


class Load:
    """A steady rate of starts from a few threads, each with its own chance.

    Threads: all calls from one. What is recorded may be read after `finish`. The end of the block ends its threads.
    """

    def __init__(self, cluster, seed, rate, workers=8, prefix="c"):
        self.cluster, self.seed, self.rate, self.workers, self.prefix = cluster, seed, rate, workers, prefix
        self.starts, self.said, self.waiting, self.retries, self.odd = [], [], [], 0, []
        self.lock = threading.Lock()
        self.stopping, self.abandoned = threading.Event(), threading.Event()
        self.threads = []

    def __enter__(self):
        for number in range(self.workers):
            self.threads.append(threading.Thread(target=self.work, args=(number,)))
        self.threads.append(threading.Thread(target=self.operate))
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stop()
        self.finish(0)

    def stop(self):
        """No new starts; what has been asked for is asked for until it is answered."""
        self.stopping.set()

    def finish(self, seconds):
        """@return whether every client got its answers in time"""
        deadline = time.monotonic() + seconds
        for thread in self.threads:
            thread.join(max(0, deadline - time.monotonic()))
        in_time = not any(thread.is_alive() for thread in self.threads)
        self.abandoned.set()
        for thread in self.threads:
            thread.join()
        return in_time

    def work(self, number):
        random = randoms.Random(f"{self.seed}-{number}")
        every = self.workers / self.rate
        due, count = time.monotonic() + every * number / self.workers, 0
        while not self.stopping.wait(max(0, due - time.monotonic())):
            # What could not be started during an outage is not made up for at once.
            due = max(due + every, time.monotonic() - every)
            count += 1
            key = f"{self.prefix}{self.seed}-{number}-{count}"
            definition, value, waits = an_input(random, key)
            way = "sql" if random.random() < 0.15 else "rest"
            start = Start(key, definition, way)
            self.starts.append(start)
            (self.by_sql if way == "sql" else self.by_rest)(random, start, value)
            if start.answered:
                self.follow(random, start, waits)

    # Starting

    def call(self, random, method, path, body=None, headers=None):
        """(status, body) of a random node; no status: nobody knows what came of it."""
        node = random.choice(list(self.cluster.nodes.values()))
        try:
            return harness.request(node.url, method, path, body, headers, CALL_SECONDS_MAX)[:2]
        except (OSError, http.client.HTTPException, ValueError) as error:
            return None, repr(error)

    def by_rest(self, random, start, value):
        again = random.random() < 0.1
        while not self.abandoned.is_set():
            start.tries += 1
            status, body = self.call(random, "POST", "/v1/sagas", {"definition": start.definition, "input": value},
                                     {"Idempotency-Key": start.key})
            if status in (200, 201):
                start.answered_at = start.answered_at or time.time()
                start.ids.add(body["id"])
                if not again:
                    return
                again = False
            elif status is not None and status not in (429, 503):
                start.refused = (status, str(body))
                return
            else:
                self.abandoned.wait(PAUSE)

    def sql(self, script):
        """(what was answered, error) of one psql; an error says nothing about a commit."""
        try:
            done = subprocess.run(
                [*self.cluster.postgres.psql_command(), "-v", "ON_ERROR_STOP=1", "-v", "VERBOSITY=verbose", "-f", "-"],
                input=script, capture_output=True, text=True, timeout=CALL_SECONDS_MAX)
        except subprocess.TimeoutExpired as error:
            return None, repr(error)
        return (done.stdout.strip(), None) if done.returncode == 0 else (None, done.stderr)

    def by_sql(self, random, start, value):
        start.rolled_back = random.random() < 0.3
        text = json.dumps(value).replace("'", "''")
        script = (f"begin; select backstitch.start_saga('{start.definition}', '{text}'::jsonb, "
                  f"business_key => '{start.key}'); {'rollback' if start.rolled_back else 'commit'};")
        while not self.abandoned.is_set():
            start.tries += 1
            answer, error = self.sql(script)
            if start.rolled_back:
                return
            if error is None:
                start.answered_at = time.time()
                start.ids.add(answer)
                return
            if "BS4" in error:
                start.refused = ("sql", error)
                return
            self.abandoned.wait(PAUSE)

    # Afterwards

    def follow(self, random, start, waits):
        saga = min(start.ids)
        if waits:
            with self.lock:
                self.waiting.append((time.monotonic() + random.uniform(0, 4), saga))
        elif random.random() < 0.08:
            self.cancel(random, saga)
        with self.lock:
            due = next((w for w in self.waiting if w[0] <= time.monotonic()), None)
            if due:
                self.waiting.remove(due)
        if due:
            self.decide(random, due[1])

    def cancel(self, random, saga):
        said = Said("cancel", saga, None, "rest")
        self.said.append(said)
        said.status, _ = self.call(random, "POST", f"/v1/sagas/{saga}/cancel", {"reason": "chaos"})
        return said.status

    def decide(self, random, saga):
        if random.random() < 0.1:
            return self.again_if_unknown(saga, self.cancel(random, saga))
        with self.lock:
            said = Said("signal", saga, f"{self.prefix}{len(self.said)}-{saga}", random.choice(("rest", "rest", "sql")))
            self.said.append(said)
        payload = {"approved": random.random() < 0.75, "note": said.token}
        if said.way == "rest":
            said.status, _ = self.call(random, "POST", f"/v1/sagas/{saga}/signals/decision", payload)
        else:
            _, error = self.sql(f"select backstitch.signal('{saga}', 'decision', '{json.dumps(payload)}'::jsonb);")
            said.status = 202 if error is None else 409 if "BS409" in error else 404 if "BS404" in error else None
        self.again_if_unknown(saga, said.status)

    def again_if_unknown(self, saga, status):
        """Whatever was neither taken nor refused; 404: started by SQL and not taken up yet."""
        if status not in (200, 202, 409):
            with self.lock:
                self.waiting.append((time.monotonic() + 1, saga))

    def operate(self):
        """An operator who retries what is suspended."""
        random = randoms.Random(f"{self.seed}-operator")
        while not self.stopping.wait(2):
            self.retry_suspended(random)

    def retry_suspended(self, random):
        status, body = self.call(random, "GET", "/v1/sagas?status=SUSPENDED&limit=100")
        for saga in body["sagas"] if status == 200 else ():
            self.retries += 1
            self.call(random, "POST", f"/v1/sagas/{saga['id']}/retry", {"reason": "chaos"})

    def decide_all(self, random):
        """Nobody waits for a decision for ever."""
        with self.lock:
            due, self.waiting = self.waiting, []
        for _, saga in due:
            self.decide(random, saga)
