"""What axe finds on every page of a running console: accessibility.py LINK AXE, where LINK signs in once and AXE is the file of axe-core.

Serious and critical findings fail, in every look; lesser ones are printed."""

import json
import pathlib
import sys

from chromium import Browser
from shots import LOOKS, pages, sign_in

RUN = """axe.run(document, {resultTypes: ['violations']}).then(found => found.violations.map(one => ({
  rule: one.id, impact: one.impact, help: one.help, where: one.nodes.slice(0, 5).map(node => node.html.slice(0, 160)) })))"""


def main(link, axe):
    base = link.split("/console/")[0]
    source = pathlib.Path(axe).read_text(encoding="utf-8")
    browser = Browser()
    failed, looked_at = [], 0
    try:
        browser.open(f"{base}/console/sign-in")
        failed += findings(browser, source, "sign-in, wide")
        sign_in(browser, link)
        addresses = pages(browser, base)
        for look, how in LOOKS:
            browser.look(**how)
            for name, address in addresses:
                browser.open(base + address)
                failed += findings(browser, source, f"{name}, {look}")
                looked_at += 1
    finally:
        browser.close()
    if failed:
        raise SystemExit("\n".join(failed))
    print(f"held: axe finds nothing serious in {looked_at} looks at {len(addresses)} pages")


def findings(browser, source, where):
    """The serious findings on the page that is open."""
    browser.evaluate(source)
    found = browser.evaluate(RUN)
    for one in found:
        print(f"{one['impact']}: {where}: {one['rule']}: {one['help']}: {json.dumps(one['where'])}")
    return [f"{where}: {one['rule']}: {one['help']}: {json.dumps(one['where'])}" for one in found if one["impact"] in ("serious", "critical")]


if __name__ == "__main__":
    main(*sys.argv[1:])
