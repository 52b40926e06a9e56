"""What schemathesis is told about this service: half of the names and ids it makes up are replaced by ones that are there, so that
requests get past a 404, and nobody waits for messages that do not come.

    SCHEMATHESIS_HOOKS=schemathesis_hooks KNOWN_JOB=a,b KNOWN_ID=c,d schemathesis run …
"""

import os

import schemathesis

KNOWN = {name: [one for one in os.environ.get(f"KNOWN_{name.upper()}", "").split(",") if one] for name in ("job", "id")}


@schemathesis.hook
def map_path_parameters(context, path_parameters):
    for name, known in KNOWN.items():
        value = (path_parameters or {}).get(name)
        if isinstance(value, str) and known and len(value) % 2 == 0:
            path_parameters[name] = known[len(value) // 2 % len(known)]
    return path_parameters


def at_once(values):
    wait = values.get("wait_seconds") if isinstance(values, dict) else None
    if str(wait).isascii() and str(wait).isdigit() and 0 < int(wait) <= 60:
        values["wait_seconds"] = 0
    return values


@schemathesis.hook
def map_query(context, query):
    return at_once(query)


@schemathesis.hook
def map_body(context, body):
    return at_once(body)
