//! Every route, asked with what is not quite a request: paths, queries, headers and bodies are damaged, or another's. Each gets an answer,
//! soon, that is no 500 and says what is wrong with it; and the service is none the worse.

mod damage;
mod misfits;

use std::time::{Duration, Instant};

use regex::Regex;
use reqwest::{Method, Request, RequestBuilder};
use serde_json::{Map, Value, json};

use self::damage::{VALUES, damage};
use super::console_routes::{self, Visitor, page_or_form, visitors};
use super::routes::lines;
use super::world::World;
use crate::app::Backend;
use crate::blob_host::new_link;
use crate::package_imports::action;
use crate::support::chance::Chance;
use crate::webhooks::receiver::Receiver;

crate::on_both_backends!(
    no_request_is_answered_with_500,
    what_does_not_fit_is_not_answered_with_500,
);

/// The longest that a request may wait for, and a busy machine.
const PATIENCE: Duration = Duration::from_mins(1);
/// Requests at least, however short the time is.
const REQUESTS_MIN: u64 = 300;

/// Requests that each would be answered.
struct Seeds {
    world: World,
    /// Of a client, an operator and an admin: who only looks is refused before most is read.
    tokens: Vec<String>,
    /// Of the console, those who may do something.
    visitors: Vec<Visitor>,
    routes: Vec<&'static str>,
    /// Pages and forms of the console.
    pages: Vec<&'static str>,
    /// The actions of the package API with their parameters, as metadata declares them.
    actions: Vec<(String, Vec<String>)>,
    /// A link that signs for one blob.
    link: String,
}

impl Seeds {
    async fn new(world: World) -> Self {
        let visitors = visitors(&world.app).await;
        let visitors = visitors
            .into_iter()
            .filter(|one| ["shop", "operator", "admin"].contains(&one.name));
        let visitors: Vec<_> = visitors.collect();
        world.app.client("victim").await;
        let mut tokens = vec![world.app.token.clone()];
        for role in ["operator", "admin"] {
            let name = format!("asking-{role}");
            let secret = world.app.add_client(&name, role).await;
            tokens.push(world.app.token_of(&name, &secret).await);
        }
        let pages = console_routes::lines().into_iter().map(|(route, _)| route);
        let app = &world.app;
        let metadata = app.get("/data/$metadata").await.text().await.expect("a text");
        let declared = Regex::new(r#"<Action Name="(\w+)"[^>]*>(.*?)</Action>"#).expect("a pattern");
        let parameter = Regex::new(r#"<Parameter Name="(\w+)""#).expect("a pattern");
        let actions: Vec<_> = declared
            .captures_iter(&metadata)
            .map(|found| {
                let parameters = parameter.captures_iter(&found[2]).map(|name| name[1].to_owned());
                (found[1].to_owned(), parameters.skip(1).collect())
            })
            .collect();
        assert!(actions.len() > 20, "{metadata}");
        let link = new_link(app).await;
        Self {
            world,
            tokens,
            visitors,
            routes: lines(false).iter().map(|line| line.route).collect(),
            // A session that is over asks nothing more.
            pages: pages.filter(|route| !route.contains("/sign-")).collect(),
            actions,
            link,
        }
    }

    /// One of them, as somebody who may ask it.
    fn any(&self, chance: &mut Chance) -> Request {
        let app = &self.world.app;
        let request = match chance.below(10) {
            0 => {
                let methods = [Method::PUT, Method::GET, Method::HEAD, Method::DELETE];
                let method = methods[chance.below(4)].clone();
                let comp = ["", "&comp=block&blockid=QUFBQQ==", "&comp=blocklist", "&comp=tags"][chance.below(4)];
                let request = app.request(method, &format!("{}{comp}", self.link));
                request.header("x-ms-blob-type", "BlockBlob").body("PK\u{3}\u{4}")
            }
            1 | 2 => {
                let (name, parameters) = &self.actions[chance.below(self.actions.len())];
                let filled = parameters.iter().map(|name| (name.clone(), self.fitting(name, chance)));
                action(app, name, &filled.collect::<Map<_, _>>().into())
            }
            3 | 4 => {
                let page = self.pages[chance.below(self.pages.len())];
                let visitor = &self.visitors[chance.below(self.visitors.len())];
                let asked = page_or_form(&self.world, page, visitor).timeout(PATIENCE);
                return asked.build().expect("a request");
            }
            _ => {
                let route = self.routes[chance.below(self.routes.len())];
                self.world.request(route, &self.world.own(route), "any")
            }
        };
        self.build(request, chance.below(self.tokens.len()))
    }

    /// Signed with one of the tokens.
    fn build(&self, request: RequestBuilder, token: usize) -> Request {
        let mut request = request.bearer_auth(&self.tokens[token]).build().expect("a request");
        *request.timeout_mut() = Some(PATIENCE);
        request
    }

    fn fitting(&self, name: &str, chance: &mut Chance) -> Value {
        match name {
            "packageUrl" => json!(self.link),
            "executionId" => json!(format!("e{}", chance.below(4))),
            "definitionGroupId" => json!(["Stock out", "Told customers"][chance.below(2)]),
            "execute" | "overwrite" | "reExecute" | "failOnError" => json!(chance.one_in(2)),
            _ => json!(VALUES[chance.below(VALUES.len())]),
        }
    }
}

async fn what_does_not_fit_is_not_answered_with_500(backend: Backend) {
    let receiver = Receiver::start().await;
    let seeds = Seeds::new(World::new(backend, &receiver, false).await).await;
    let described = seeds.world.app.body("/api/v1/openapi.json").await;
    let requests = misfits::requests(&seeds, &described);
    let asked = requests.len();
    assert!(asked > 2000, "only {asked}");
    let mut wrong = Vec::new();
    for request in requests {
        wrong.extend(judge(&seeds.world, request).await.err());
    }
    eprintln!("{asked} requests in which one thing does not fit");
    assert!(wrong.is_empty(), "{} of {asked}:\n{}", wrong.len(), wrong.join("\n\n"));
}

async fn no_request_is_answered_with_500(backend: Backend) {
    let receiver = Receiver::start().await;
    let seeds = Seeds::new(World::new(backend, &receiver, false).await).await;
    let seconds = std::env::var("TRANSHIP_TEST_FUZZ_SECONDS").map_or(1, |text| text.parse().expect("seconds"));
    let until = Instant::now() + Duration::from_secs(seconds);
    let mut chance = Chance::announced("TRANSHIP_TEST_SEED");
    let (mut asked, mut taken) = (0_u64, 0_u64);
    while Instant::now() < until || asked < REQUESTS_MIN {
        let mut request = seeds.any(&mut chance);
        damage(&mut request, &mut chance);
        let judged = judge(&seeds.world, request).await;
        taken += u64::from(judged.unwrap_or_else(|wrong| panic!("{wrong}")));
        asked += 1;
    }
    eprintln!("damaged requests: {asked} in {seconds} s, of which {taken} were taken");
    assert!(
        taken * 20 > asked,
        "{taken} of {asked} were taken: they are damaged beyond what is read"
    );
    let ready = seeds.world.app.get("/health/ready").await;
    assert_eq!(ready.status(), 200);
}

/// Whether it was taken. Refused, it is told why; what is wrong with the answer, if anything.
async fn judge(world: &World, request: Request) -> Result<bool, String> {
    let shown = shown(&request);
    let is_api = request.url().path().starts_with("/api/v1/") && request.method() != Method::HEAD;
    let is_connector = request.url().path().to_lowercase().contains("/connector/");
    let answer = world.app.http.execute(request).await;
    let answer = answer.map_err(|error| format!("no answer to {shown}: {error:?}"))?;
    let status = answer.status().as_u16();
    let kind = answer.headers().get("content-type");
    let kind = kind.map_or("", |kind| kind.to_str().expect("a text")).to_owned();
    if kind.starts_with("text/event-stream") {
        return Ok(true);
    }
    let body = answer.bytes().await;
    let body = body.map_err(|error| format!("half an answer to {shown}: {error:?}"))?;
    let body = String::from_utf8_lossy(&body);
    // AUTH-13, RI-23: what an activity or a message that is unknown is answered there.
    let is_contract = status == 500 && is_connector && !body.contains("its log says why");
    let is_told = status < 400 || !is_api || {
        let problem: Value = serde_json::from_str(&body).unwrap_or_default();
        let says = |name: &str| problem[name].as_str().is_some_and(|text| !text.is_empty());
        kind.starts_with("application/problem+json") && says("code") && says("detail")
    };
    if (status < 500 || is_contract) && is_told {
        return Ok(status < 400);
    }
    Err(format!("{status} {kind} to {shown}\n{body}"))
}

/// What was asked, to be asked again.
fn shown(request: &Request) -> String {
    let headers = request.headers().iter().filter(|(name, _)| *name != "authorization");
    let headers: Vec<_> = headers
        .map(|(name, value)| format!("\n{name}: {}", value.as_bytes().escape_ascii()))
        .collect();
    let headers = headers.concat();
    let body = request.body().and_then(|body| body.as_bytes()).unwrap_or_default();
    format!(
        "{} {}{headers}\n\n{}",
        request.method(),
        request.url(),
        body.get(..2000).unwrap_or(body).escape_ascii()
    )
}
