// Lets calls be tried. The page reads without it.
"use strict";

let token = null;

function say(output, title, text) {
  const head = document.createElement("p");
  head.textContent = title;
  output.replaceChildren(head);
  if (!text) return;
  const body = document.createElement("pre");
  body.textContent = text;
  output.append(body);
}

async function signIn(event) {
  event.preventDefault();
  const form = event.target;
  const output = form.querySelector("output");
  const asked = new URLSearchParams({
    grant_type: "client_credentials",
    client_id: form.client.value,
    client_secret: form.secret.value,
    scope: `${location.origin}/.default`,
  });
  try {
    const answer = await fetch("/default/oauth2/v2.0/token", { method: "POST", body: asked, credentials: "omit" });
    const told = await answer.json();
    if (!answer.ok) return say(output, `No token: ${told.error_description || told.Message || answer.status}`);
    token = told.access_token;
    say(output, `Signed in as ${form.client.value}; the token lasts ${told.expires_in} seconds.`);
  } catch (error) {
    say(output, `Out of reach: ${error.message}`);
  }
}

// What the fields of an operation say, as a request.
function request(operation) {
  let path = operation.dataset.path;
  const query = new URLSearchParams();
  const headers = new Headers();
  for (const field of operation.querySelectorAll("[data-in]")) {
    const { name, in: place } = field.dataset;
    if (place === "path") {
      if (!field.value) throw new Error(`${name} is needed`);
      path = path.replace(`{${name}}`, encodeURIComponent(field.value));
    } else if (field.value && place === "query") query.append(name, field.value);
    else if (field.value) headers.set(name, field.value);
  }
  if (token) headers.set("Authorization", `Bearer ${token}`);
  const body = operation.querySelector("textarea");
  if (body && body.value) headers.set("Content-Type", body.dataset.type);
  const asked = query.size ? `${path}?${query}` : path;
  return [asked, { method: operation.dataset.method, headers, body: (body && body.value) || undefined, credentials: "omit" }];
}

const SHOWN_MAX = 200_000;

async function tryOut(event) {
  event.preventDefault();
  const operation = event.target.closest(".operation");
  const output = operation.querySelector("form.try output");
  try {
    const [path, options] = request(operation);
    say(output, `${options.method} ${path} …`);
    const answer = await fetch(path, options);
    const kind = answer.headers.get("content-type") || "";
    if (kind.startsWith("text/event-stream")) {
      await answer.body.cancel();
      return say(output, `${answer.status}: a stream of events; follow it with curl -N`);
    }
    let text = await answer.text();
    if (kind.includes("json") && text) text = JSON.stringify(JSON.parse(text), null, 2);
    say(output, `${answer.status} ${answer.statusText} ${kind}`, text.slice(0, SHOWN_MAX));
  } catch (error) {
    say(output, error.message);
  }
}

for (const part of document.querySelectorAll(".try")) part.hidden = false;
for (const example of document.querySelectorAll(".operation > pre.example")) example.hidden = true;
document.querySelector("#sign-in form").addEventListener("submit", signIn);
for (const form of document.querySelectorAll("form.try")) form.addEventListener("submit", tryOut);
// A link to one operation opens it.
function openTarget() {
  const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (target && target.tagName === "DETAILS") target.open = true;
}
addEventListener("hashchange", openTarget);
openTarget();
