//! Everything a client, a file or a receiver can have a say in, on every page of the console: it is text there, whatever it holds.

use std::collections::{BTreeSet, VecDeque};

use reqwest::StatusCode;
use serde_json::json;

use crate::app::{Backend, TestApp};
use crate::client::{relay, text};
use crate::console::browser::Browser;
use crate::destinations::{STOCK, service};
use crate::webhooks;
use crate::webhooks::receiver::{Receiver, Reply};

crate::on_both_backends!(what_others_wrote_is_text_on_every_page);

const MARKUP: &str =
    "\"'><script src=//evil.test></script><img src=x onerror=alert(1)><a href=javascript:alert(1)>{{7*7}}";
/// Turns what follows around, so that a name ends as it does not.
const TURNED: &str = "invoice\u{202e}fdp.exe";

async fn hostile(backend: Backend, receiver: &Receiver) -> TestApp {
    let app = TestApp::with(backend, |setup| {
        relay(setup, "Quay", "order_by = \"header:x-group\"\nmax_deliveries = 1");
        webhooks::job(setup, &format!("url = \"{}\"", receiver.url("/hook?a=%22%3E%3Cimg%20src=x%3E")));
        let quoted = STOCK.replace("Stock on hand", "Stock & 'hand'");
        setup.file("entities/stock.toml", &quoted);
        setup.file(
            "jobs/stock-out.toml",
            &format!(
                "id = \"00000000-0000-4000-8000-00000000dd01\"\nname = \"Stock out\"\ndirection = \"export\"\ndata_source = \"file\"\n\
                 clients = [\"tester\"]\n[export]\nformat = \"csv\"\n[[export.entities]]\nentity = \"Stock\"\n{}",
                service("erp", receiver, "")
            ),
        );
        setup.set("destinations.allow_private", "true");
        setup.set("destinations.allow_http", "true");
    })
    .await;
    let escaped = |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let (markup, turned) = (escaped(MARKUP), escaped(TURNED));
    // A file whose name, columns and values are hostile, with a record that is refused for its value.
    let file = format!(
        "CustomerID,CompanyName,{0}\r\nAAAAA,{0},x\r\n\"{1}\",One,x\r\n",
        MARKUP.replace([',', '"'], ""),
        MARKUP.replace('"', "\"\"")
    );
    let path = format!(
        "/api/v1/jobs/{}/messages?entity=Customers&external_id={markup}&company={markup}",
        app.job("Told customers")
    );
    app.post(&path, file).await;
    app.run_until_idle().await;
    // A message that its receiver gives back with such a reason, under such a name, in such a group.
    let request = app
        .enqueuing("Quay", &format!("external_id={turned}"), "bytes")
        .header("x-group", "<b>group</b>");
    crate::client::send(request, &app.token)
        .await
        .expect(StatusCode::CREATED);
    let lease = app.lease_one("Quay").await;
    app.step(&lease, "reject", json!({ "reason": MARKUP, "dead_letter": true }))
        .await
        .expect(StatusCode::OK);
    // What receivers answer is shown, too.
    receiver.always(Reply::Status(
        500,
        "",
        "<img src=x onerror=alert(1)>\"'><script>x</script>",
    ));
    app.webhooks.run_until_idle().await.expect("claiming works");
    app.stock_up("insert into stock (item, quantity) values ('<b>x', 1)")
        .await;
    app.export().await;
    app.bring().await;
    let pause = format!("/api/v1/jobs/{}/pause", app.job("Stock out"));
    app.post_json(&pause, &json!({ "note": MARKUP }))
        .await
        .expect(StatusCode::OK);
    app
}

async fn what_others_wrote_is_text_on_every_page(backend: Backend) {
    let receiver = Receiver::start().await;
    let app = hostile(backend, &receiver).await;
    let browser = Browser::of(&app, "chief", "admin").await;
    let (mut to_see, mut seen_paths) = (VecDeque::from(["/console".to_owned()]), BTreeSet::new());
    let (mut with_markup, mut with_turned) = (BTreeSet::new(), BTreeSet::new());
    while let Some(path) = to_see.pop_front() {
        if !seen_paths.insert(path.clone()) || path.contains("/assets/") {
            continue;
        }
        let seen = browser.get(&path).await;
        let policy = seen.headers["content-security-policy"].to_str().unwrap();
        assert!(
            policy.contains("default-src 'none'") && policy.contains("script-src 'self'"),
            "{path}: {policy}"
        );
        assert_eq!(seen.headers["x-frame-options"], "DENY", "{path}");
        assert_eq!(seen.headers["x-content-type-options"], "nosniff", "{path}");
        if !seen.headers["content-type"].to_str().unwrap().starts_with("text/html") {
            let shown = seen.headers["content-disposition"].to_str().unwrap();
            assert!(
                shown.starts_with("attachment") && !shown.contains(['<', '\r', '\n']),
                "{path}: {shown}"
            );
            continue;
        }
        // `elements` refuses inline scripts, handlers and whatever is not closed.
        for element in seen.elements() {
            assert!(
                !["img", "iframe", "object", "base"].contains(&element.name.as_str()),
                "{path}: {element:?}"
            );
            for name in ["href", "src", "action"] {
                let to = element.get(name).unwrap_or("/console");
                let is_ours = to.starts_with('/') && !to.starts_with("//")
                    || to.starts_with('#')
                    || to.starts_with('?')
                    || to.starts_with(&app.url);
                assert!(is_ours, "{path}: {element:?}");
            }
        }
        let words = seen.text();
        if words.contains("onerror=alert(1)") {
            with_markup.insert(path.clone());
        }
        if words.contains("invoice⟨U+202E⟩fdp.exe") {
            with_turned.insert(path.clone());
        }
        assert!(!words.contains('\u{202e}'), "{path} turns its text around");
        to_see.extend(seen.links());
    }
    // It was really there to be shown.
    assert!(with_markup.len() >= 5, "{with_markup:?} of {seen_paths:?}");
    assert!(with_turned.len() >= 2, "{with_turned:?} of {seen_paths:?}");
    let id = text(&app.body("/api/v1/messages").await["messages"][0], "id");
    assert!(seen_paths.iter().any(|path| path.contains(&id)), "{seen_paths:?}");
}
