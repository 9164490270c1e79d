"""The figures of an idle server, and what overload does: printed, and bounded where they are not times."""
import os
import shutil
import subprocess
import tempfile
import threading
import time
import unittest

from bad_input_test import resident_kb
from support import World, harness, order

IDLE_RSS_MAX_KB = 40 * 1024
STRIPPED_MAX_BYTES = 15 * 1024 * 1024


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@unittest.skipIf(os.environ.get("BACKSTITCH_SANITIZED"), "sanitizers multiply memory and size")
class Figures(unittest.TestCase):
    def test_an_idle_server_is_small_and_quiet(self):
        with harness.Postgres() as postgres, harness.Server(postgres.url) as server:
            server.__exit__(None, None, None)
            began = time.monotonic()
            server.start()
            ready = time.monotonic() - began
            pid = server.process.pid
            before, since = cpu_seconds(pid), time.monotonic()
            harness.wait_until(lambda: time.monotonic() - since > 5, 10, "five idle seconds")
            share = (cpu_seconds(pid) - before) / (time.monotonic() - since)
            print(f"idle: {resident_kb(pid) / 1024:.1f} MB resident, {share * 100:.2f} % of a core, ready after {ready:.2f} s")
            self.assertLess(resident_kb(pid), IDLE_RSS_MAX_KB)

    def test_the_stripped_program_is_small(self):
        with tempfile.TemporaryDirectory() as folder:
            copy = shutil.copy(harness.PROGRAM, folder)
            subprocess.run(["strip", copy], check=True)
            print(f"stripped program: {os.path.getsize(copy) / 1024 / 1024:.1f} MB")
            self.assertLess(os.path.getsize(copy), STRIPPED_MAX_BYTES)


@unittest.skipIf(os.environ.get("BACKSTITCH_SANITIZED"), "sanitizers multiply memory and time")
class Overload(unittest.TestCase):
    def test_starts_over_the_bound_are_refused_at_once_and_what_runs_ends(self):
        world = World(durable=True, serve_arguments=["--starts-waiting-max", "50", "--sagas-resident-max", "200"]).open()
        self.addCleanup(world.close)
        for service in ("orders", "inventory", "payments", "shipping"):
            world.fault(service=service, phase="forward", mode="delay", delayMs=100, times=0)
        accepted, refused, times, lock = [], [], [], threading.Lock()

        def flood(worker):
            for batch in range(4):
                starts = [{"definition": "orders.place", "input": order(f"x{worker}-{batch}-{i}")} for i in range(100)]
                began = time.monotonic()
                status, body, _ = world.server.api("POST", "/v1/sagas/batch", {"sagas": starts})
                with lock:
                    times.append(time.monotonic() - began)
                    for result in body["results"]:
                        (accepted if result["status"] == 201 else refused).append(result)

        workers = [threading.Thread(target=flood, args=(w,)) for w in range(6)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        self.assertGreater(len(refused), 0)
        self.assertEqual({(r["status"], r["code"]) for r in refused}, {(503, "overloaded")})
        for result in accepted:
            self.assertEqual(world.server.ended(result["id"], 90)["status"], "COMPLETED")
        print(f"overload: {len(accepted)} accepted and ended, {len(refused)} refused, slowest batch {max(times) * 1000:.0f} ms, "
              f"{resident_kb(world.server.process.pid) / 1024:.0f} MB resident")
        self.assertLess(resident_kb(world.server.process.pid), 200 * 1024)


if __name__ == "__main__":
    unittest.main(verbosity=2)
