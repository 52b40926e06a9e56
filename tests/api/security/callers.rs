//! Those who call: one of each kind.

use reqwest::RequestBuilder;
use reqwest::header::COOKIE;

use crate::app::TestApp;
use crate::console::browser::Browser;

/// How somebody shows who it is.
#[derive(Debug, Clone)]
enum Shown {
    Nothing,
    Token(String),
    Cookie(String),
}

/// Somebody who calls.
#[derive(Debug, Clone)]
pub struct Caller {
    pub name: &'static str,
    shown: Shown,
}

impl Caller {
    pub fn sign(&self, request: RequestBuilder) -> RequestBuilder {
        match &self.shown {
            Shown::Nothing => request,
            Shown::Token(token) => request.bearer_auth(token),
            Shown::Cookie(cookie) => request.header(COOKIE, cookie),
        }
    }
}

/// Those who must be refused, and may not change anything: nobody, a token that is none, a client that was revoked, an admin's session
/// of the console without a token, and a client of another job.
pub async fn strangers(app: &TestApp) -> Vec<Caller> {
    let gone = app.client("gone").await;
    let revoked = app.context.store.revoke_client("gone", app.clock.now()).await;
    assert!(revoked.unwrap());
    let chief = Browser::of(app, "chief", "admin").await;
    let cookie = format!("tranship_console={}", chief.cookies.lock().unwrap()["tranship_console"]);
    let other = app.client("other").await;
    vec![
        caller("none", Shown::Nothing),
        caller("junk", Shown::Token("nonsense".to_owned())),
        caller("gone", Shown::Token(gone)),
        caller("cookie", Shown::Cookie(cookie)),
        caller("other", Shown::Token(other)),
    ]
}

/// Those who may something: one who only looks, a client the jobs list, an operator and an admin; and one who may make projects, whom no
/// job lists.
pub async fn friends(app: &TestApp) -> Vec<Caller> {
    let mut friends = Vec::new();
    for (name, role) in [
        ("viewer", "viewer"),
        ("shop", "client"),
        ("operator", "operator"),
        ("admin", "admin"),
        ("integrator", "integrator"),
    ] {
        let secret = app.add_client(name, role).await;
        friends.push(caller(name, Shown::Token(app.token_of(name, &secret).await)));
    }
    friends
}

fn caller(name: &'static str, shown: Shown) -> Caller {
    Caller { name, shown }
}
