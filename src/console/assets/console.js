// What is nicer with a script. Every page reads and works without it.
"use strict";

// Copy buttons show only where they work.
function offerCopies(within) {
  if (!navigator.clipboard) return;
  for (const button of within.querySelectorAll("[data-copy]")) {
    button.hidden = false;
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(button.parentElement.querySelector("code").textContent);
      button.textContent = "Copied";
      setTimeout(() => { button.textContent = "Copy"; }, 2000);
    });
  }
}

// A page that is live is fetched again every few seconds while somebody looks at it and does nothing in it.
const EVERY_MS = 5000;

function isBusy(main) {
  const active = document.activeElement;
  return document.hidden || !getSelection().isCollapsed || (active !== main && main.contains(active))
    || main.querySelector("input:checked") !== null;
}

async function again(main) {
  const answer = await fetch(location.href, { credentials: "same-origin" });
  if (!answer.ok) {
    // The session is over, or the page is gone: the answer says so better than we could.
    if (answer.status < 500) location.reload();
    return;
  }
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const fresh = page.getElementById("main");
  if (!fresh || isBusy(main)) return;
  const open = [...main.querySelectorAll("details")].map((part) => part.open);
  const scrolled = [...main.querySelectorAll(".scroll")].map((part) => part.scrollLeft);
  main.replaceChildren(...fresh.childNodes);
  [...main.querySelectorAll(".scroll")].forEach((part, at) => { part.scrollLeft = scrolled[at] || 0; });
  [...main.querySelectorAll("details")].forEach((part, at) => { part.open = open[at] ?? part.open; });
  main.toggleAttribute("data-live", fresh.hasAttribute("data-live"));
}

function keepUp(main) {
  setTimeout(async () => {
    try {
      if (!isBusy(main)) await again(main);
    } catch {
      // Out of reach; the next time may do.
    }
    if (main.hasAttribute("data-live")) keepUp(main);
  }, EVERY_MS);
}

offerCopies(document);
// Reloading must not say again what was done once.
if (location.search.includes("done=")) {
  const here = new URL(location.href);
  here.searchParams.delete("done");
  history.replaceState(null, "", here);
}
const main = document.getElementById("main");
if (main && main.hasAttribute("data-live")) keepUp(main);
