"""What an operator does with the console, in a real browser: journey.py LINK NAME SECRET. LINK signs in once, NAME is an operator's.
Prints a line for each thing that held."""

import sys

from chromium import Browser

# The least contrast of text with what is behind it (WCAG 2.2 AA), for text of ordinary size.
CONTRAST = """(() => {
  const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
  const rgba = (colour) => { canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data]; };
  const light = (rgb) => { const [r, g, b] = rgb.map((v) => { v /= 255; return v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4; });
    return .2126 * r + .7152 * g + .0722 * b; };
  const behind = (one) => { for (; one; one = one.parentElement) { const c = rgba(getComputedStyle(one).backgroundColor);
    if (c[3] === 255) return c.slice(0, 3); } return [255, 255, 255]; };
  const poor = [];
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const one = texts.currentNode.parentElement;
    if (!texts.currentNode.textContent.trim() || !one.checkVisibility() || one.closest('.skip, .away')) continue;
    const [a, b] = [light(rgba(getComputedStyle(one).color).slice(0, 3)), light(behind(one))].sort((x, y) => y - x);
    const ratio = (a + .05) / (b + .05);
    if (ratio < 4.5) poor.push(`${texts.currentNode.textContent.trim().slice(0, 30)}: ${ratio.toFixed(2)}`);
  }
  return poor;
})()"""

# Fields and buttons that say nothing to who does not see them.
NAMELESS = """[...document.querySelectorAll('a, button, input:not([type=hidden]), select, textarea')]
  .filter((one) => !one.hidden && !(one.textContent.trim() || one.ariaLabel || one.labels?.length)).map((one) => one.outerHTML)"""

TOO_WIDE = "document.documentElement.scrollWidth - document.documentElement.clientWidth"


def held(what):
    print("held:", what, flush=True)


def has(browser, *texts):
    for text in texts:
        browser.until(f"document.body.innerText.includes({text!r})", f"`{text}`")


def fill(browser, **fields):
    for name, value in fields.items():
        browser.evaluate(f"document.querySelector('[name={name}]').value = {value!r}")


def signs_in(browser, base, link, name, secret):
    browser.open(link)
    browser.press("Sign in")
    has(browser, "Overview", "local operator", "Failures of the last seven days")
    held("a link signs in")
    browser.press("Sign out")
    has(browser, "Client", "Secret")
    fill(browser, client=name, secret="wrong")
    browser.press("Sign in")
    has(browser, "There is no client of this name with this secret")
    browser.open(base + "/console/messages?status=failed")
    fill(browser, client=name, secret=secret)
    browser.press("Sign in")
    has(browser, "Messages", name)
    assert browser.evaluate("location.search") == "?status=failed"
    assert browser.evaluate("document.cookie") == "", "a script can read the session"
    held("a client signs in, and comes where it wanted to")


def finds_the_fault(browser):
    browser.press("orders.csv")
    has(browser, "What went wrong, by cause", "reference_missing", "customer_account")
    assert browser.evaluate("[...document.querySelectorAll('td.fault mark')].map((one) => one.textContent)") == ["ZZZZZ"]
    rejects = browser.evaluate("fetch(document.querySelector('a[href$=rejects]').href).then((answer) => answer.text())")
    assert "_reject_id" in rejects and "ZZZZZ" in rejects, rejects
    held("the failed message shows the cell at fault")


def corrects_it(browser):
    browser.press("Correct and send back…")
    fault = "document.querySelector('[aria-invalid]')"
    assert browser.evaluate(f"{fault}.value") == "ZZZZZ"
    reason = browser.evaluate(f"document.getElementById({fault}.getAttribute('aria-describedby')).innerText")
    assert "reference_missing" in reason, reason
    # By keyboard, as the field takes it.
    browser.evaluate(f"({fault}.focus(), {fault}.select())")
    browser.call("Input.insertText", text="HANAR")
    browser.press("Send back")
    has(browser, "The corrected records are sent back", "What was corrected", "ZZZZZ", "HANAR")
    # The page keeps up by itself until the record has landed.
    has(browser, "Processed", "1 inserted")
    held("a record is corrected, sent back and lands")


def redrives_dead_letters(browser, base):
    browser.open(base + "/console/dead-letters")
    has(browser, "Relay documents", "DeadLettered", "rejected")
    browser.press("Redrive…")
    has(browser, "1 message.", "offer.csv")
    browser.press("Try messages again")
    has(browser, "1 message put back into their queues.")
    browser.open(base + "/console/dead-letters")
    has(browser, "There is none.")
    held("a dead letter is redriven")


def pauses_and_runs(browser, base):
    browser.open(base + "/console/jobs/Nightly%20sales%20orders")
    browser.press("Pause…")
    fill(browser, note="auditors")
    browser.press("Pause")
    has(browser, "The job is paused.", "“auditors”")
    browser.press("Resume…")
    browser.press("Resume")
    has(browser, "The job is resumed.", "It has not run.")
    browser.press("Run now…")
    browser.press("Run now")
    browser.evaluate("window.left = true")
    has(browser, "A run was asked for.")
    # The page keeps up by itself: nothing loads it again.
    has(browser, "done", "can be collected")
    assert browser.evaluate("window.left") is True, "the page was loaded again"
    held("a job is paused, resumed and run, and its page keeps up")


def chooses_colours(browser, base):
    browser.look(dark=False)
    browser.open(base + "/console/jobs")
    paper = "getComputedStyle(document.body).backgroundColor"
    light = browser.evaluate(paper)
    browser.press("◐")
    assert browser.evaluate(paper) != light and browser.evaluate("location.pathname") == "/console/jobs"
    browser.press("◐")
    assert browser.evaluate(paper) == light
    browser.press("◐")
    held("light and dark are a choice")


def is_fit_for_everybody(browser, base, pages):
    for dark in (False, True):
        for width in (360, 1280):
            browser.look(dark=dark, width=width)
            for page in pages:
                browser.open(base + page)
                where = f"{page}, {'dark' if dark else 'light'}, {width} px"
                assert browser.evaluate(TOO_WIDE) <= 0, f"{where} is too wide"
                assert browser.evaluate(CONTRAST) == [], f"{where}: {browser.evaluate(CONTRAST)}"
                assert browser.evaluate(NAMELESS) == [], f"{where}: {browser.evaluate(NAMELESS)}"
                assert browser.evaluate("document.querySelectorAll('h1').length") == 1, where
    held("every page has room and contrast, on phones too")
    browser.look()
    browser.open(base + "/console/jobs")
    for kind in ("keyDown", "keyUp"):
        browser.call("Input.dispatchKeyEvent", type=kind, key="Tab", code="Tab", windowsVirtualKeyCode=9)
    assert browser.evaluate("document.activeElement.textContent") == "Skip to the page"
    assert browser.evaluate("document.activeElement.getBoundingClientRect().left") >= 0, "the skip link is not seen"
    held("the keyboard begins at the skip link")


def tries_calls(browser, base, name, secret):
    browser.open(base + "/api/v1/docs#listJobs")
    assert browser.evaluate("document.getElementById('listJobs').open"), "a link to an operation does not open it"
    fill(browser, client=name, secret=secret)
    browser.evaluate("document.querySelector('#sign-in button').click()")
    has(browser, f"Signed in as {name}")
    browser.evaluate("document.querySelector('#listJobs form.try button').click()")
    has(browser, "200 OK", "Inbound sales orders")
    browser.evaluate("document.querySelector('#showJob').open = true")
    browser.evaluate("document.querySelector('#showJob [data-name=job]').value = 'No such job'")
    browser.evaluate("document.querySelector('#showJob form.try button').click()")
    browser.until("document.querySelector('#showJob output').textContent.includes('not_found')", "a problem shown")
    browser.complaints()  # The 404 that was asked for.
    held("calls are tried from the page of the API")


def works_without_scripts(browser, base):
    browser.look(scripts=False)
    browser.open(base + "/api/v1/docs")
    has(browser, "The API of Tranship", "Enqueue a file or package")
    assert not browser.evaluate("[...document.querySelectorAll('.try')].some((one) => one.checkVisibility())"), "forms without a script"
    browser.open(base + "/console")
    has(browser, "Overview", "Queues")
    assert browser.evaluate("document.querySelector('[data-copy]').hidden"), "a script ran"
    browser.open(base + "/console/jobs/Nightly%20sales%20orders/pause")
    browser.press("Pause")
    has(browser, "The job is paused.")
    held("pages read and forms work without scripts")
    browser.look()


def main(link, name, secret):
    base = link.split("/console/")[0]
    browser = Browser()
    try:
        browser.look()
        signs_in(browser, base, link, name, secret)
        browser.complaints()  # Of the pages before signing in: 401 is an error to browsers.
        finds_the_fault(browser)
        message = browser.evaluate("location.pathname")
        corrects_it(browser)
        pauses_and_runs(browser, base)
        execution = browser.evaluate("new URL(document.querySelector('a[href*=executions]').href).pathname")
        chooses_colours(browser, base)
        job = "/console/jobs/Nightly%20sales%20orders"
        pages = ["/console", "/console/jobs", job, job + "/run", "/console/messages", "/console/messages?file=none",
                 message, message + "/repair", message + "/preview", execution, "/console/dead-letters", "/console/messages/bulk?action=retry&all=true&status=DeadLettered",
                 "/api/v1/docs#listMessages"]
        is_fit_for_everybody(browser, base, pages)
        redrives_dead_letters(browser, base)
        tries_calls(browser, base, name, secret)
        works_without_scripts(browser, base)
        complaints = browser.complaints()
        assert not complaints, complaints
        held("the browser refused nothing and missed nothing")
    finally:
        browser.close()


main(*sys.argv[1:4])
