"""A short kill loop: each saga dies at failpoints spread over its whole way. All of them: ./dev kill-loop."""
import unittest

import loop
from scenarios import SCENARIOS

APART = 15


class Spread(loop.Options):
    """Every scenario begins at another point, so that together they meet every kind of place."""

    def points(self, scenario, _nodes):
        first = 1 + SCENARIOS.index(scenario) * 4 % APART
        return range(first, loop.RUNS_MAX, APART)


class ShortLoop(unittest.TestCase):
    def holds(self, scenarios, nodes, deaths_min):
        lines = []
        deaths, violations = loop.run_all([(scenario, nodes) for scenario in scenarios], Spread(), 2, lines.append)
        self.assertEqual(violations, [])
        self.assertGreaterEqual(deaths, deaths_min, lines)

    def test_killed_anywhere_and_started_again_every_saga_ends_in_order(self):
        self.holds(SCENARIOS, 1, 2 * len(SCENARIOS))

    def test_killed_anywhere_another_node_takes_over_and_the_saga_ends_in_order(self):
        self.holds(SCENARIOS[-1:], 3, 2)


if __name__ == "__main__":
    unittest.main(verbosity=2)
