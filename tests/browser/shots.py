"""Screenshots of every page of a running console: shots.py LINK FOLDER, where LINK signs in once (`tranship console`)."""

import pathlib
import sys

from chromium import Browser

# Name of the picture, address.
FIXED = [("overview", "/console"), ("jobs", "/console/jobs"), ("messages", "/console/messages"),
         ("failed", "/console/messages?status=failed"), ("nothing", "/console/messages?file=no-such-file"),
         ("dead-letters", "/console/dead-letters"), ("bulk", "/console/messages/bulk?action=retry&all=true&status=failed"),
         ("entities", "/console/entities"), ("entity", "/console/entities/SalesOrderHeaders"), ("webhooks", "/console/webhooks"),
         ("clients", "/console/clients"), ("client-add", "/console/clients/add"), ("client-rotate", "/console/clients/rotate?name=night-shift"),
         ("client-role", "/console/clients/role?name=night-shift"), ("client-revoke", "/console/clients/revoke?name=night-shift"),
         ("audit", "/console/audit"), ("audit-nothing", "/console/audit?actor=nobody"), ("audit-verify", "/console/audit/verify"),
         ("no-such-page", "/console/nothing"), ("missing", "/console/messages/0192f1c4-0000-7000-8000-000000000000")]
LOOKS = [("wide", {}), ("wide-dark", {"dark": True}), ("phone", {"width": 360, "height": 740}),
         ("phone-dark", {"dark": True, "width": 360, "height": 740})]


def pages(browser, base):
    """Every page there is something to see on."""
    found = list(FIXED)
    first = "document.querySelector('main td a')?.getAttribute('href')"
    for name, address in [("message-failed", "/console/messages?status=failed"), ("message-rejects", "/console/messages?status=ProcessedWithErrors"),
                          ("message", "/console/messages?status=Processed")]:
        browser.open(base + address)
        if link := browser.evaluate(first):
            found.append((name, link))
    browser.open(base + "/console/webhooks")
    if link := browser.evaluate("document.querySelector('main a[href^=\"/console/webhooks/\"]')?.getAttribute('href')"):
        found += [("webhook", link), ("webhook-replay", link + "/replay")]
    jobs = "[...document.querySelectorAll('main tbody tr')].map(row => [row.cells[1].innerText, row.querySelector('a').getAttribute('href')])"
    browser.open(base + "/console/jobs")
    for direction, link in {row[0]: row[1] for row in browser.evaluate(jobs)}.items():
        found += [(f"job-{direction}", link), (f"pause-{direction}", link + "/pause")]
        if direction == "export":
            found += [("run", link + "/run"), ("resume", link + "/resume")]
    for name, link in list(found):
        if name in ("message-failed", "job-export"):
            browser.open(base + link)
            if execution := browser.evaluate("document.querySelector('main a[href*=executions]')?.getAttribute('href')"):
                found.append((f"execution-of-{name}", execution))
        if name.startswith("message"):
            found.append((f"payload-of-{name}", link + "/preview"))
        if name == "message-failed":
            found.append(("cancel", link + "/cancel"))
        if name == "message-rejects":
            found.append(("repair", link + "/repair"))
    return found


def for_docs(browser, base, folder):
    """The pictures of docs/console.md."""
    folder.mkdir(exist_ok=True)
    first = "document.querySelector('main td a').getAttribute('href')"
    browser.look()
    browser.open(base + "/console/messages?status=ProcessedWithErrors&file=orders")
    message = browser.evaluate(first)
    for name, address, how in [("overview", "/console", {"height": 820}), ("message", message, {"dark": True, "height": 860}),
                               ("job", "/console/jobs/Nightly%20sales%20orders", {"height": 860}),
                               ("phone", "/console/messages", {"width": 360, "height": 740, "dark": True})]:
        browser.look(**how)
        browser.open(base + address)
        browser.shot(folder / f"console-{name}.png", whole=False)


def sign_in(browser, link):
    """Signs in by a link that is good once."""
    browser.open(link)
    browser.press("Sign in")


def main(link, folder):
    base = link.split("/console/")[0]
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    browser = Browser()
    try:
        browser.look()
        browser.open(base + "/console")
        browser.shot(folder / "sign-in.wide.png")
        sign_in(browser, link)
        wide = []
        for name, address in pages(browser, base):
            for look, how in LOOKS:
                browser.look(**how)
                browser.open(base + address)
                browser.shot(folder / f"{name}.{look}.png")
                over = browser.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
                if over > 0:
                    wide.append(f"{name}, {look}: {over} px wider than the window")
            print(name, address)
        for_docs(browser, base, folder / "docs")
        for complaint in browser.complaints():
            print("the browser says:", complaint)
        for line in wide:
            print(line)
    finally:
        browser.close()


if __name__ == "__main__":
    main(*sys.argv[1:3])
