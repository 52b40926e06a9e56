"""python3 -m unittest benches.harness.tests: the rules by which figures are judged, and the reading of plans."""

import unittest

from .bars import DID_NOT_RUN, bars
from .peers import syncs
from .plans import claim_cost
from .report import placeless, plot

LOG = """2026-01-01 LOG:  duration: 0.125 ms  plan:
\t{
\t  "Query Text": "update queue set owner = 1",
\t  "Plan": {"Node Type": "ModifyTable", "Actual Rows": 1, "Shared Hit Blocks": 12, "Shared Read Blocks": 1, "Plans": [
\t    {"Node Type": "Limit", "Actual Rows": 1, "Shared Hit Blocks": 4, "Shared Read Blocks": 0}
\t  ]}
\t}
2026-01-01 LOG:  something else
"""
ONCE = LOG.replace("update queue", "delete from sweep").replace("ModifyTable", "Delete")


def lane(**contenders):
    def middle(rate, durable=True):
        return {"batch": 1, "messages_per_second": rate, "syncs": durable}

    made = {name.replace("_", "-"): {"label": name, "one": middle(*rate), "best": middle(*rate)} for name, rate in contenders.items()}
    return {"queue": {"tmpfs": {"contenders": made, "absent": {}}}}


def verdicts(results, bar):
    return {row[5] for row in bars(results) if row[0] == bar and row[5] != "shown"}


class Bars(unittest.TestCase):
    def test_a_ratio_decides(self):
        self.assertEqual(verdicts(lane(tranship_postgres=(200,), pgmq=(100,)), "Q2"), {"met"})
        self.assertEqual(verdicts(lane(tranship_postgres=(199,), pgmq=(100,)), "Q2"), {"not met"})

    def test_a_peer_that_did_not_run_is_a_bar_that_is_not_met(self):
        self.assertEqual(verdicts(lane(tranship_postgres=(200,)), "Q2"), {DID_NOT_RUN})

    def test_who_does_not_sync_is_shown_and_never_counted(self):
        peer = verdicts(lane(tranship_postgres=(900,), pgmq=(100, False)), "Q2")
        self.assertEqual(peer, {"not counted: the peer does not sync"})
        ours = verdicts(lane(tranship_postgres=(900, False), pgmq=(100,)), "Q2")
        self.assertEqual(ours, {"not met: Tranship does not sync"})

    def test_a_debug_build_is_not_judged(self):
        results = {**lane(tranship_postgres=(900,), pgmq=(100,)), "build": "debug"}
        self.assertEqual(verdicts(results, "Q2"), {"not judged: debug build"})

    def test_what_was_not_measured_says_so(self):
        self.assertEqual(verdicts({}, "Q6"), {"not met: not measured"})


class Imports(unittest.TestCase):
    @staticmethod
    def seconds(**given):
        contenders = {name.replace("_", "-"): {"seconds": seconds} for name, seconds in given.items()}
        return {"import": {"tmpfs": {"contenders": contenders}}}

    def test_a_loader_may_take_so_many_times_the_floor(self):
        for ours, expected in ((2.0, "met"), (2.1, "not met")):
            results = self.seconds(tranship_postgres={"clean": ours}, copy={"clean": 1.0})
            self.assertIn(("I1", expected), {(row[0], row[5]) for row in bars(results) if "(clean) against copy" in row[2]})

    def test_a_peer_must_take_so_many_times_ours(self):
        for theirs, expected in ((9.9, "not met"), (10.0, "met")):
            results = self.seconds(tranship_postgres={"bad1": 1.0}, pgloader={"bad1": theirs})
            self.assertIn(("I3", expected), {(row[0], row[5]) for row in bars(results) if "pgloader (bad1)" in row[2]})

    def test_a_small_file_does_not_prove_what_is_asked_of_a_large_one(self):
        def verdict_of(size, peak):
            one = {"bytes": size, "rows": 10_000_000, "peak_bytes": peak * 2**20, "growth": 1.0}
            return next(row[5] for row in bars({"large": {"tmpfs": {"sqlite": one}}}) if row[0] == "I4")

        self.assertEqual(verdict_of(5e9, 128), "met")
        self.assertEqual(verdict_of(1e9, 129), "not met")
        self.assertTrue(verdict_of(1e9, 100).startswith("shown"))


class Exports(unittest.TestCase):
    def test_a_package_may_take_no_longer_and_be_no_larger_than_a_copy_through_gzip(self):
        def verdicts_of(seconds, size):
            ours, floor = {"seconds": seconds, "bytes": size}, {"seconds": 2.0, "bytes": 1000}
            result = {"rows": 300_000, "contenders": {"tranship-postgres": ours, "copy-gzip": floor}}
            rows = bars({"export": {"tmpfs": result}})
            return [row[5] for row in rows if row[0] == "E1" and "postgres" in row[2]]

        self.assertEqual(verdicts_of(2.0, 1020), ["met", "met"])
        self.assertEqual(sorted(verdicts_of(2.1, 1020)), ["met", "not met"])
        self.assertEqual(sorted(verdicts_of(2.0, 1021)), ["met", "not met"])
        self.assertEqual(verdicts({"export": {"tmpfs": {"rows": 1, "contenders": {}}}}, "E1"), {DID_NOT_RUN})

    def test_few_rows_do_not_prove_what_is_asked_of_many(self):
        def verdict_of(rows, peak):
            return verdicts({"export-large": {"tmpfs": {"sqlite": {"rows": rows, "peak_bytes": peak * 2**20}}}}, "E2").pop()

        self.assertEqual(verdict_of(5_000_000, 96), "met")
        self.assertEqual(verdict_of(1_000, 97), "not met")
        self.assertTrue(verdict_of(1_000, 96).startswith("shown"))

    def test_changes_cost_twenty_buffers_each_and_writers_half_as_much_again(self):
        def verdicts_of(buffers, ratio):
            one = {"rows": 10_000_000, "changes": 100, "buffers": buffers, "buffers_of_all": buffers, "writers": {"bulk insert": {"ratio": ratio}}}
            return verdicts({"changes": {"tmpfs": one}}, "E3")

        self.assertEqual(verdicts_of(2200, 1.5), {"met"})
        self.assertEqual(verdicts_of(2201, 1.6), {"not met"})


class Syncs(unittest.TestCase):
    def test_an_fsync_covers_no_more_than_is_in_flight(self):
        def synced(fsyncs):
            counts = {"fsyncs": {"log": fsyncs, "other": 0}}
            figures = {"clients": 64, "batch": 10, "messages_total": 64_000}
            return syncs({"fsyncs": {"log": 0, "other": 0}}, counts, figures)

        self.assertTrue(synced(100))
        self.assertFalse(synced(99))


class Plans(unittest.TestCase):
    def test_the_claim_is_what_ran_once_for_each_lease(self):
        cost = claim_cost(LOG * 10 + ONCE, 10)
        self.assertEqual([one["runs"] for one in cost["statements"]], [10])
        claim = cost["claim"]
        self.assertEqual((claim["buffers"], claim["picking"], claim["rows"]), (13, 4, 1))
        self.assertEqual(claim["milliseconds"], 0.125)

    def test_a_log_without_claims_has_no_cost(self):
        self.assertIsNone(claim_cost(ONCE, 10)["claim"])


class Report(unittest.TestCase):
    def test_no_folder_of_this_machine_is_told(self):
        self.assertEqual(placeless('"/a/b/tranship-bench.x1/c: no"'), '"FOLDER/c: no"')

    def test_the_longest_bar_is_on_top(self):
        drawn = plot("rates", [("slow", 1, False), ("fast", 9, True)])
        self.assertLess(drawn.index("fast"), drawn.index("slow"))


if __name__ == "__main__":
    unittest.main()
