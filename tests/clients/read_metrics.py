"""What Prometheus's own library reads of /metrics, as OpenMetrics and as the older text.

    python read_metrics.py BASE_URL TRACE_ID

Prints the families that have an example of that trace in their buckets, one a line.
"""

import sys

import requests
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_metrics
from prometheus_client.parser import text_string_to_metric_families as plain

BASE, TRACE = sys.argv[1:]
# What a Prometheus asks with that is to keep exemplars.
BOTH = "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3,*/*;q=0.1"


def read(accept, expected, parser):
    answer = requests.get(f"{BASE}/metrics", headers={"Accept": accept})
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith(expected), answer.headers["content-type"]
    return {family.name: family for family in parser(answer.text)}


old = read("text/plain;version=0.0.4", "text/plain; version=0.0.4", plain)
# Nobody who asks for nothing, or for anything, gets what only some can read.
read("*/*", "text/plain; version=0.0.4", plain)
new = read(BOTH, "application/openmetrics-text; version=1.0.0", open_metrics)
assert set(old) == set(new), set(old) ^ set(new)
for name, family in new.items():
    assert family.type == old[name].type and family.documentation == old[name].documentation, name

for name, family in new.items():
    for sample in family.samples:
        if sample.exemplar and sample.exemplar.labels.get("trace_id") == TRACE:
            assert family.type == "histogram" and 0 <= sample.exemplar.value <= float(sample.labels["le"]), sample
            assert sample.exemplar.timestamp, sample
            print(name)
            break
