"""The race: rounds of all contenders in turns, fsync calibrated around each, and what came out in the middle."""

import json
import statistics

from .machine import Broken, file_system, lane_folder, run
from .peers import Field

BATCHES = (10, 100)
PROBE_SECONDS = 3


def race(options, binary, race_binary):
    """Both lanes, never mixed."""
    return {lane: lane_race(lane, options, binary, race_binary) for lane in options.lanes}


def lane_race(lane, options, binary, race_binary):
    with lane_folder(lane) as folder, Field(binary, race_binary, folder) as field:
        result = {"file_system": file_system(folder), "seconds": options.seconds, "rounds": options.rounds}
        best = {one.name: best_batch(one) for one in field.contenders}
        rounds = []
        for number in range(options.rounds):
            for batch_kind in ("one", "best"):
                # A B C, then B C A: nobody always follows the same neighbour.
                turn = field.contenders[number % max(len(field.contenders), 1):] + field.contenders[: number % max(len(field.contenders), 1)]
                for contender in turn:
                    batch = 1 if batch_kind == "one" else best[contender.name]
                    done = one_round(contender, batch, options, folder, race_binary, field)
                    if done:
                        rounds.append({"round": number, "batch_kind": batch_kind, **done})
                        say(lane, number, contender, done)
        result["contenders"] = {
            one.name: {"label": one.label, **{kind: middle(rounds, one.name, kind) for kind in ("one", "best")}}
            for one in field.contenders
        }
        result["absent"] = field.absent
        result["all_rounds"] = rounds
        return result


def best_batch(contender):
    """The batch that gives a contender its best rate, from short runs; 1 for one that takes no batches."""
    rates = {1: 0}
    for batch in BATCHES:
        try:
            rates[batch] = contender.load(batch, PROBE_SECONDS, 1)["messages_per_second"]
        except Broken as error:
            print(f"bench: {contender.name} takes no batch of {batch}: {error}")
    return max(rates, key=rates.get)


def one_round(contender, batch, options, folder, race_binary, field):
    if contender.name in field.absent:
        return None
    contender.settle()
    before = calibrate(race_binary, folder)
    try:
        figures = contender.round(batch, options.seconds, options.warm_up)
    except Broken as error:
        drop(contender, field, error)
        return None
    return {**figures, "contender": contender.name, "fsync_before": before, "fsync_after": calibrate(race_binary, folder)}


def drop(contender, field, error):
    """A contender that fails once is out: half a measurement is none."""
    field.absent[contender.name] = str(error)
    print(f"bench: {contender.name} is out: {error}")


def calibrate(race_binary, folder):
    figures = json.loads(run(race_binary, "fsync", "--folder", folder, "--times", 100))
    return {key: figures[key] for key in ("p50_us", "p99_us")}


def say(lane, number, contender, done):
    syncs = "" if done["syncs"] else "  does not sync"
    print(
        f"{lane:5} round {number + 1}  {contender.label:38} batch {done['batch']:3}"
        f"  {done['messages_per_second']:9.0f}/s  {done['costs']['fsyncs']:.4f} fsyncs/message{syncs}",
        flush=True,
    )


def middle(rounds, name, kind):
    """The medians of a contender's rounds; None when it has none."""
    mine = [one for one in rounds if one["contender"] == name and one["batch_kind"] == kind]
    if not mine:
        return None
    operations = {name: None for one in mine for name in one["operations"]}
    return {
        "batch": mine[0]["batch"],
        "clients": mine[0]["clients"],
        "rounds": len(mine),
        "messages_per_second": statistics.median(one["messages_per_second"] for one in mine),
        "spread": [min(one["messages_per_second"] for one in mine), max(one["messages_per_second"] for one in mine)],
        "syncs": all(one["syncs"] for one in mine),
        "fsync_p50_us": statistics.median(one["fsync_before"]["p50_us"] for one in mine),
        "fsync_p99_us": statistics.median(one["fsync_before"]["p99_us"] for one in mine),
        "costs": {key: statistics.median(one["costs"][key] for one in mine) for key in mine[0]["costs"]},
        "operations": {
            name: {
                key: statistics.median(one["operations"][name][key] for one in mine if name in one["operations"])
                for key in ("p50_us", "p99_us")
            }
            for name in operations
        },
    }
