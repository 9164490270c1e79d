"""The judge of the mesh finds each kind of wrong end, and nothing wrong with a right one."""
import unittest

from judge import wrong

STEPS = ["reserve", "pay", "ship"]
DONE = [(step, False) for step in STEPS]
UNDONE = [(step, True) for step in STEPS]


class Judge(unittest.TestCase):
    def test_right_ends(self):
        for status, effects in (("COMPLETED", DONE), ("FAILED", []), ("FAILED", UNDONE), ("FAILED", UNDONE[:1]),
                                ("SUSPENDED", DONE[:2]), ("SUSPENDED", [])):
            self.assertIsNone(wrong(status, effects, STEPS), (status, effects))

    def test_wrong_ends(self):
        for status, effects, says in (
                ("COMPLETED", DONE[:2], "not done: ship"),
                ("COMPLETED", [], "not done: pay, reserve, ship"),
                ("COMPLETED", [*DONE[:2], ("ship", True)], "not done: ship"),
                ("FAILED", [("reserve", True), ("pay", False)], "failed, and done: pay"),
                ("COMPLETED", [*DONE, ("pay", False)], "done twice"),
                ("FAILED_INCOMPLETE", [], "ended FAILED_INCOMPLETE")):
            self.assertIn(says, wrong(status, effects, STEPS), (status, effects))


if __name__ == "__main__":
    unittest.main(verbosity=2)
