"""A short form of the mesh: HAProxy and nginx speak in the participant's place, repeat what failed, are reloaded. All of it: ./dev mesh."""
import unittest

import run
from cases import WRONG_SETTINGS, reloads, retries, speech
from fronts import HaproxyFront, NginxFront
from guide import KNOWN_WRONGS
from run import World, harness
from sagas import KNOWN

STORM = 27  # sagas
CASES = (speech, retries, reloads)


class Mesh(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.world = cls.enterClassContext(World())

    def hold(self, front):
        if front.why_not():
            self.skipTest(front.why_not())
        lines = []
        mesh = run.Run(STORM, lines.append)
        for case in CASES:
            for marked in (True, False):
                with self.subTest(case=case.__name__, answers=marked):
                    mesh.one(self.world, front, case, marked)
                    self.assertEqual(mesh.problems, [])
                    mesh.problems.clear()
        self.assertEqual([row.unheard for row in mesh.rows.values()], [0, 0])

    def test_no_saga_ends_wrong_behind_haproxy(self):
        self.hold(HaproxyFront)

    def test_no_saga_ends_wrong_behind_nginx(self):
        self.hold(NginxFront)


class Guide(unittest.TestCase):
    def test_the_guide_names_every_end_that_may_be_wrong_without_answers(self):
        names = {*KNOWN.values(), *WRONG_SETTINGS} - {"compressed"}  # which is harmless
        self.assertEqual(KNOWN_WRONGS, names)


if __name__ == "__main__":
    harness.require_build()
    unittest.main(verbosity=2)
