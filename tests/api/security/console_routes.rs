//! Every page and form of the console, asked for by everybody: as a table says, and no form counts that is not of the session.

use std::collections::BTreeSet;

use reqwest::header::COOKIE;
use reqwest::{Method, RequestBuilder};

use super::route_table::console_routes;
use super::world::{World, answered};
use crate::app::{Backend, TestApp};
use crate::console::browser::Browser;
use crate::webhooks::receiver::Receiver;

crate::on_both_backends!(every_page_and_form_answers_each_visitor_as_the_table_says);

/// What each visitor is answered, in the order of [`visitors`]; forms come with the token of the visitor's session.
const TABLE: &str = include_str!("console_routes.txt");

/// Forms that begin a session and so are of none.
const WITHOUT_SESSION: [&str; 2] = ["POST /console/sign-in", "POST /console/sign-in/{link}"];

pub struct Visitor {
    pub name: &'static str,
    /// The session's secret and the token of its forms.
    session: Option<(String, String)>,
    bearer: Option<String>,
}

impl Visitor {
    fn sign(&self, mut request: RequestBuilder) -> RequestBuilder {
        if let Some((secret, _)) = &self.session {
            request = request.header(COOKIE, format!("tranship_console={secret}"));
        }
        match &self.bearer {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }
}

/// Nobody, an operator's token without a session, a cookie that is no session's; a client of another job, one who only looks, a client of
/// the job, an operator, an admin; an integrator whom no job lists.
pub async fn visitors(app: &TestApp) -> Vec<Visitor> {
    let outside = |name, session: Option<&str>, bearer: Option<&str>| Visitor {
        name,
        session: session.map(|secret| (secret.to_owned(), "x".to_owned())),
        bearer: bearer.map(str::to_owned),
    };
    let mut visitors = vec![
        outside("nobody", None, None),
        outside("token", None, Some(&app.token)),
        outside("junk", Some("nonsense"), None),
    ];
    for (name, role) in [
        ("other", "client"),
        ("viewer", "viewer"),
        ("shop", "client"),
        ("operator", "operator"),
        ("admin", "admin"),
        ("integrator", "integrator"),
    ] {
        let browser = Browser::of(app, name, role).await;
        let token = browser.see("/console").await.form_token();
        let secret = browser.cookies.lock().unwrap()["tranship_console"].clone();
        visitors.push(Visitor {
            name,
            session: Some((secret, token)),
            bearer: None,
        });
    }
    visitors
}

pub fn lines() -> Vec<(&'static str, Vec<u16>)> {
    let lines = TABLE.lines().filter(|line| !line.starts_with('#'));
    let lines = lines.map(|line| {
        let (route, statuses) = line.split_once(" | ").unwrap_or_else(|| panic!("{line}"));
        (
            route.trim(),
            statuses
                .split_whitespace()
                .map(|status| status.parse().expect("a status"))
                .collect(),
        )
    });
    lines.collect()
}

#[test]
fn every_page_and_form_has_a_line() {
    let told: BTreeSet<String> = lines().into_iter().map(|(route, _)| route.to_owned()).collect();
    let routes = console_routes();
    let missing: Vec<_> = routes.difference(&told).collect();
    let strange: Vec<_> = told.difference(&routes).collect();
    assert!(
        missing.is_empty(),
        "say in tests/api/security/console_routes.txt what each visitor is answered on {missing:#?}"
    );
    assert!(strange.is_empty(), "in the table, but no route: {strange:#?}");
}

async fn every_page_and_form_answers_each_visitor_as_the_table_says(backend: Backend) {
    let receiver = Receiver::start().await;
    let world = World::new(backend, &receiver, false).await;
    world.app.client("victim").await;
    let visitors = visitors(&world.app).await;
    let before = world.kept().await;
    for (route, _) in lines().iter().filter(|(route, _)| route.starts_with("POST")) {
        let own = visitors[7].session.as_ref().map(|(_, token)| token.as_str());
        for visitor in &visitors {
            let wanted = if visitor.session.is_some() && visitor.name != "junk" {
                403
            } else {
                401
            };
            let wanted = if WITHOUT_SESSION.contains(route) { 401 } else { wanted };
            // Without the token of the session, with that of another, and from another site with the right one.
            let foreign = own.filter(|_| visitor.name != "admin").unwrap_or("x");
            for token in ["", foreign] {
                let (status, _) = answered(visitor.sign(form(&world, route, visitor.name, token))).await;
                assert_eq!(status, wanted, "{route} {} {token}", visitor.name);
            }
            let right = visitor.session.as_ref().map_or("x", |(_, token)| token);
            for (header, value) in [
                ("origin", "https://evil.test"),
                ("origin", "null"),
                ("sec-fetch-site", "cross-site"),
            ] {
                let request = form(&world, route, visitor.name, right).header(header, value);
                assert_eq!(
                    answered(visitor.sign(request)).await.0,
                    403,
                    "{route} {} {header}",
                    visitor.name
                );
            }
        }
    }
    assert_eq!(before, world.kept().await, "a form that does not count did something");
    let mut wrong = Vec::new();
    for (route, wanted) in lines() {
        let mut seen = Vec::new();
        for visitor in &visitors {
            seen.push(answered(page_or_form(&world, route, visitor)).await.0);
        }
        if seen != wanted {
            let seen: Vec<String> = seen.iter().map(u16::to_string).collect();
            wrong.push(format!("{route} | {}", seen.join(" ")));
        }
    }
    assert!(
        wrong.is_empty(),
        "answered otherwise than the table says:\n{}",
        wrong.join("\n")
    );
}

/// What a visitor asks for, with the token of the session where it is a form.
pub fn page_or_form(world: &World, route: &str, visitor: &Visitor) -> RequestBuilder {
    let token = visitor.session.as_ref().map_or("", |(_, token)| token);
    visitor.sign(match route.strip_prefix("POST") {
        Some(_) => form(world, route, visitor.name, token),
        None => world.app.request(Method::GET, &path(world, route)),
    })
}

fn path(world: &World, route: &str) -> String {
    let (_, template) = route.split_once(' ').expect("a method and a path");
    let target = world.own(route);
    let path = template
        .replace("{job}", &target.job)
        .replace("{id}", &target.id)
        .replace("{link}", "nothing")
        .replace("{rest:.*}", "nothing/here")
        .replace(
            "{name}",
            if template.contains("/assets/") {
                "nothing.css"
            } else {
                "Customers"
            },
        );
    match template {
        "/console/clients/rotate" | "/console/clients/role" | "/console/clients/revoke" => {
            format!("{path}?name=victim")
        }
        "/console/messages/bulk" => format!("{path}?action=retry&all=1&status=failed"),
        _ => path,
    }
}

fn form(world: &World, route: &str, visitor: &str, token: &str) -> RequestBuilder {
    let path = path(world, route);
    let path = path.split('?').next().unwrap_or_default();
    let name = if route.ends_with("/add") {
        format!("new-{visitor}")
    } else {
        "victim".to_owned()
    };
    let fields = [
        ("form_token", token),
        ("name", &name),
        ("role", "viewer"),
        ("action", "retry"),
        ("status", "failed"),
        ("theme", "dark"),
    ];
    world.app.request(Method::POST, path).form(&fields)
}
