"""Reads what `auto_explain` wrote about the statements of a claim.

It needs no knowledge of the SQL: with one client and nothing else going on, the statements that ran once per lease are the
claim's. What each touched is in its plan."""

import json
import re
import statistics

ENTRY = re.compile(r"duration: ([0-9.]+) ms  plan:\n((?:\t.*\n?)+)")
# Statements the service runs on its own account now and then may fall between two claims.
TOLERANCE = 0.2


def entries(log):
    """Every logged plan with its milliseconds."""
    for found in ENTRY.finditer(log):
        try:
            plan = json.loads("\n".join(line[1:] for line in found.group(2).splitlines()))
        except ValueError:
            continue
        yield float(found.group(1)), plan["Query Text"], plan["Plan"]


def buffers(node):
    """Buffers a node and everything below it touched."""
    return node.get("Shared Hit Blocks", 0) + node.get("Shared Read Blocks", 0)


def nodes(node):
    yield node
    for child in node.get("Plans", []):
        yield from nodes(child)


def picked(plan):
    """Buffers of finding the rows: the largest part of the plan that is read and locked, not written."""
    reading = [node for node in nodes(plan) if node["Node Type"] in ("Limit", "LockRows")]
    reading = reading or [node for node in nodes(plan) if "Scan" in node["Node Type"]]
    return max((buffers(node) for node in reading), default=0)


def claim_cost(log, claims):
    """Medians over the claims of a log: buffers, milliseconds and rows of each statement that ran once per claim."""
    seen = {}
    for milliseconds, text, plan in entries(log):
        seen.setdefault(text, []).append((milliseconds, plan))
    statements = []
    for text, runs in seen.items():
        if abs(len(runs) - claims) > max(1, claims * TOLERANCE):
            continue
        # The first run reads pages into the cache that all others find there.
        plans = [plan for _, plan in runs[1:] or runs]
        statements.append({
            "statement": " ".join(text.split())[:240],
            "runs": len(runs),
            "milliseconds": statistics.median(milliseconds for milliseconds, _ in runs),
            "buffers": statistics.median(buffers(plan) for plan in plans),
            "buffers_max": max(buffers(plan) for plan in plans),
            "picking": statistics.median(picked(plan) for plan in plans),
            "rows": statistics.median(max(node.get("Actual Rows", 0) for node in nodes(plan) if node["Node Type"] in ("Limit", "LockRows", "ModifyTable", plan["Node Type"])) for plan in plans),
        })
    claiming = [one for one in statements if re.search(r"\bupdate\b|skip locked", one["statement"], re.IGNORECASE)] or statements
    main = max(claiming, key=lambda one: one["buffers"], default=None)
    return {
        "claims": claims,
        "statements": statements,
        "claim": main,
        "buffers": sum(one["buffers"] for one in statements),
        "milliseconds": sum(one["milliseconds"] for one in statements),
    }
