"""Screenshots of every page of a running console: shots.py LINK FOLDER, where LINK signs in once (`tranship console`)."""

import pathlib
import sys

from chromium import Browser

# Name of the picture, address.
FIXED = [("overview", "/console"), ("overview-day", "/console?range=day"), ("overview-week", "/console?range=week"),
         ("jobs", "/console/jobs"), ("messages", "/console/messages"),
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
        if name in ("message", "message-failed", "message-rejects"):
            found.append((f"payload-of-{name}", link + "/preview"))
        if name == "message-failed":
            found.append(("cancel", link + "/cancel"))
        if name == "message-rejects":
            found.append(("repair", link + "/repair"))
    return found


def for_docs(browser, base, folder):
    """The pictures of docs/console.md: each page once, one in the dark, two as a phone shows them."""
    folder.mkdir(exist_ok=True)
    browser.look()
    browser.open(base + "/console/messages?status=ProcessedWithErrors&file=orders")
    # The newer one corrects the older one.
    correction, message = browser.evaluate("[...document.querySelectorAll('main td a[href^=\"/console/messages/\"]')].map(a => a.getAttribute('href'))")
    job = "/console/jobs/Nightly%20sales%20orders"
    browser.open(base + job)
    run = browser.evaluate("document.querySelector('main a[href*=executions]').getAttribute('href')")
    phone, dark = {"width": 360, "height": 740}, {"dark": True, "height": 860}
    for name, address, how in [
            ("overview", "/console", {"height": 1180}), ("jobs", "/console/jobs", {"height": 560}), ("job", job, {"height": 860}),
            ("messages", "/console/messages", {"height": 820}), ("message", message, dark), ("repair", message + "/repair", {"height": 620}),
            ("correction", correction, {"height": 860}), ("dead-letters", "/console/dead-letters", {"height": 440}), ("execution", run, {"height": 560}),
            ("entities", "/console/entities", {"height": 460}), ("entity", "/console/entities/SalesOrderHeaders", {"height": 860}),
            ("webhooks", "/console/webhooks", {"height": 560}), ("clients", "/console/clients", {"height": 440}),
            ("audit", "/console/audit", {"height": 820}), ("phone-job", job, {**phone, "dark": True}),
            ("phone-message", message, phone)]:
        browser.look(**how)
        browser.open(base + address)
        browser.shot(folder / f"console-{name}.png", whole=False)


SHEET = """<!doctype html><meta charset="utf-8"><style>
body {{ margin: 0; padding: 8px; background: #8a8f98; display: flex; gap: 8px; align-items: flex-start }}
div {{ height: {height}px; overflow: hidden; border-radius: 3px }}
.wide {{ width: 460px }} .phone {{ width: 150px }} img {{ display: block; width: 100% }}
</style>{pictures}"""


def sheets(browser, names, folder):
    """All looks of a page on one sheet, for docs/console-looks.md: wide and on a phone, light and dark, the upper part of long ones."""
    to = folder / "docs" / "looks"
    to.mkdir(parents=True, exist_ok=True)
    page, height = folder / "sheet.html", 420
    for name in names:
        pictures = "".join(f'<div class="{look.split("-")[0]}"><img src="{name}.{look}.png"></div>' for look, _ in LOOKS)
        page.write_text(SHEET.format(height=height, pictures=pictures))
        browser.look(width=2 * 460 + 2 * 150 + 5 * 8, height=height + 16)
        browser.open(page.resolve().as_uri())
        browser.shot(to / f"{name}.webp", whole=False)
    page.unlink()


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
        sheets(browser, sorted(path.name.removesuffix(".wide.png") for path in folder.glob("*.wide.png") if path.name != "sign-in.wide.png"), folder)
        for complaint in browser.complaints():
            print("the browser says:", complaint)
        for line in wide:
            print(line)
    finally:
        browser.close()


if __name__ == "__main__":
    main(*sys.argv[1:3])
