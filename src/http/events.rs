//! Server-sent events: a message until it ends, a job for as long as somebody listens.
//!
//! An event says how something stands now. Nothing is kept for a listener that reads slowly: it misses what was in between,
//! and is told to look again where that matters. What is sent is made when the connection takes it.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use actix_web::{HttpRequest, HttpResponse, web};
use bytes::Bytes;
use futures_util::stream;
use serde_json::Value;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, sleep, sleep_until};

use super::auth::{authenticate, caller, visible_job};
use super::messages::visible;
use super::problem::{Kind, Problem, Surface};
use super::status::{Look, again};
use super::watch::{JobWatch, MessageWatch, News};
use super::{Api, envelope, view};
use crate::domain::ids::{JobId, MessageId};
use crate::domain::message::Message;
use crate::storage::messages::MessageFilter;

/// A comment after this long keeps proxies from closing the connection, and finds out who is gone.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// What moves faster than this is told together.
const PACE: Duration = Duration::from_millis(100);
/// Messages looked at together.
const PORTION: usize = 100;
/// Of what other processes do, the newest messages of a job are looked at, this many, this often.
const NEWEST: u32 = 200;
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// `GET /api/v1/messages/{id}/events`: how it stands, then each change; ends with the message.
pub async fn of_message(api: web::Data<Api>, request: HttpRequest, id: web::Path<String>) -> HttpResponse {
    let opened = async {
        let caller = caller(&api, &request).await?;
        let message = visible(&api, &caller, &id).await?;
        let told = envelope::header(&request, "last-event-id");
        let look = Look::of(&api, message).await?;
        if look.message.status.is_final() && told.as_deref() == Some(&look.tag) {
            // Who has heard the end comes back all the same; this tells it not to.
            return Ok(HttpResponse::NoContent().finish());
        }
        let following = Following {
            turn: turn(&api)?,
            watch: api.watch.message(look.message.id),
            id: look.message.id,
            told,
            listener: Listener::new(&api, &request, look.message.job),
            api: api.get_ref().clone(),
        };
        Ok(streaming(stream::unfold(Some(following), |following| async {
            let mut following = following?;
            let (chunk, ended) = following.next().await?;
            match following.listener.must_be_allowed().await {
                Ok(()) => Some((chunk, (!ended).then_some(following))),
                Err(problem) => Some((problem_event(&problem), None)),
            }
        })))
    };
    opened
        .await
        .unwrap_or_else(|problem: Problem| problem.respond(Surface::Native))
}

/// `GET /api/v1/jobs/{job}/events`: each message of the job that moves, as one row of a list.
pub async fn of_job(api: web::Data<Api>, request: HttpRequest, name: web::Path<String>) -> HttpResponse {
    let opened = async {
        let caller = caller(&api, &request).await?;
        let definitions = api.definitions();
        let job = visible_job(&definitions, &caller, &name)?;
        let mut listening = Listening {
            turn: turn(&api)?,
            watch: api.watch.job(job.id),
            job: job.id,
            ready: VecDeque::new(),
            known: BTreeMap::new(),
            look_at: None,
            pause_until: Instant::now(),
            failed: false,
            listener: Listener::new(&api, &request, job.id),
            api: api.get_ref().clone(),
        };
        if !api.context.store.has_one_process() {
            // How they stand now is no news.
            listening.look().await?;
            listening.ready.clear();
        }
        listening.ready.push_back(": listening\n\n".to_owned());
        if envelope::header(&request, "last-event-id").is_some() {
            // It listened before; what happened since was told to nobody.
            listening.ready.push_back(LOOK_AGAIN.to_owned());
        }
        Ok(streaming(stream::unfold(Some(listening), |listening| async {
            let mut listening = listening?;
            let chunk = listening.next().await?;
            match listening.listener.must_be_allowed().await {
                Ok(()) => Some((chunk, Some(listening))),
                Err(problem) => Some((problem_event(&problem), None)),
            }
        })))
    };
    opened
        .await
        .unwrap_or_else(|problem: Problem| problem.respond(Surface::Native))
}

fn turn(api: &Api) -> Result<OwnedSemaphorePermit, Problem> {
    let turn = std::sync::Arc::clone(&api.listeners).try_acquire_owned();
    turn.map_err(|_| {
        let detail = "as many listen to events as may (server.max_listeners); ask for the status instead, or come back";
        Problem::new(Kind::Unavailable, detail)
    })
}

fn streaming(chunks: impl futures_util::Stream<Item = String> + 'static) -> HttpResponse {
    let chunks = futures_util::StreamExt::map(chunks, |chunk| Ok::<_, std::convert::Infallible>(Bytes::from(chunk)));
    HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, "text/event-stream"))
        .insert_header((CACHE_CONTROL, "no-store"))
        // Proxies that collect answers must not collect this one.
        .insert_header(("X-Accel-Buffering", "no"))
        .streaming(chunks)
}

const LOOK_AGAIN: &str = "event: look-again\ndata: {}\n\n";
const STILL_HERE: &str = ": still here\n\n";

fn event(name: &str, id: Option<&str>, data: &str) -> String {
    let id = id.map_or_else(String::new, |id| format!("id: {id}\n"));
    format!("event: {name}\n{id}data: {data}\n\n")
}

fn problem_event(problem: &Problem) -> String {
    event("problem", None, &problem.body().to_string())
}

/// Who listens. A stream outlasts what let it be opened: asked again with everything it tells, and with every sign that it is still there.
struct Listener {
    api: Api,
    request: HttpRequest,
    job: JobId,
}

impl Listener {
    fn new(api: &Api, request: &HttpRequest, job: JobId) -> Self {
        Self {
            api: api.clone(),
            request: request.clone(),
            job,
        }
    }

    /// Whether the token is still good, its client still one, and the job still one that it may see.
    async fn must_be_allowed(&self) -> Result<(), Problem> {
        let caller = authenticate(&self.api, &self.request).await?;
        let definitions = self.api.definitions();
        let job = definitions.job(self.job);
        if job.map_or(caller.sees_all(), |job| caller.may_see(job)) {
            return Ok(());
        }
        let detail = format!("`{}` may not see the job any more", caller.name);
        Err(Problem::new(Kind::NotFound, detail))
    }
}

/// Somebody follows a message.
struct Following {
    api: Api,
    listener: Listener,
    id: MessageId,
    watch: MessageWatch,
    /// Tag of what was told last.
    told: Option<String>,
    #[expect(dead_code, reason = "held while the stream is open")]
    turn: OwnedSemaphorePermit,
}

impl Following {
    /// The next chunk, and whether it is the last one; none when there is nothing more to say.
    async fn next(&mut self) -> Option<(String, bool)> {
        let quiet_until = Instant::now() + KEEP_ALIVE;
        loop {
            let news = self.watch.news();
            tokio::pin!(news);
            news.as_mut().enable();
            if self.api.draining.is_cancelled() {
                return None;
            }
            match self.look().await {
                Ok(look) if self.told.as_ref() != Some(&look.tag) => {
                    let chunk = event("status", Some(&look.tag), &look.body);
                    self.told = Some(look.tag);
                    return Some((chunk, look.message.status.is_final()));
                }
                Ok(_) => {}
                Err(problem) => return Some((problem_event(&problem), true)),
            }
            tokio::select! {
                () = news => {}
                () = sleep(self.api.watch.look_again_after()) => {}
                () = sleep_until(quiet_until) => return Some((STILL_HERE.to_owned(), false)),
                () = self.api.draining.cancelled() => {}
            }
        }
    }

    async fn look(&self) -> Result<Look, Problem> {
        Look::of(&self.api, again(&self.api, self.id).await?).await
    }
}

/// Somebody listens to a job.
struct Listening {
    api: Api,
    listener: Listener,
    job: JobId,
    watch: JobWatch,
    /// Chunks to send; one look's worth at most.
    ready: VecDeque<String>,
    /// How the newest messages stood at the last look, where other processes may move them.
    known: BTreeMap<MessageId, String>,
    look_at: Option<Instant>,
    pause_until: Instant,
    /// The store failed: the stream ends, and its listener may come back.
    failed: bool,
    #[expect(dead_code, reason = "held while the stream is open")]
    turn: OwnedSemaphorePermit,
}

impl Listening {
    /// The next chunk; none when the service stops or the store fails.
    async fn next(&mut self) -> Option<String> {
        let quiet_until = Instant::now() + KEEP_ALIVE;
        loop {
            if let Some(chunk) = self.ready.pop_front() {
                return Some(chunk);
            }
            if self.failed {
                return None;
            }
            sleep_until(self.pause_until).await;
            let look_at = self.look_at.unwrap_or(quiet_until);
            let told = tokio::select! {
                news = self.watch.news() => self.tell(news).await,
                () = sleep_until(look_at), if self.look_at.is_some() => self.look().await,
                () = sleep_until(quiet_until) => return Some(STILL_HERE.to_owned()),
                () = self.api.draining.cancelled() => return None,
            };
            self.pause_until = Instant::now() + PACE;
            if let Err(problem) = told {
                self.ready = VecDeque::from([problem_event(&problem)]);
                self.failed = true;
            }
        }
    }

    /// Says how messages stand that moved.
    async fn tell(&mut self, news: News) -> Result<(), Problem> {
        if news.missed {
            self.ready.push_back(LOOK_AGAIN.to_owned());
        }
        let ids: Vec<MessageId> = news.moved.into_iter().collect();
        for portion in ids.chunks(PORTION) {
            let messages = self.api.context.store.messages_by_id(portion).await?;
            self.tell_of(&messages);
        }
        Ok(())
    }

    /// Finds what other processes moved, among the newest messages.
    async fn look(&mut self) -> Result<(), Problem> {
        let filter = MessageFilter {
            jobs: vec![self.job],
            limit: NEWEST,
            ..MessageFilter::default()
        };
        let mut newest = self.api.context.store.messages(&filter).await?;
        newest.reverse();
        self.tell_of(&newest);
        let kept = newest.first().map(|oldest| oldest.id);
        self.known.retain(|id, _| kept.is_some_and(|kept| *id >= kept));
        self.look_at = Some(Instant::now() + LOOK_EVERY);
        Ok(())
    }

    /// Puts what is new about these messages into words.
    fn tell_of(&mut self, messages: &[Message]) {
        let definitions = self.api.definitions();
        for message in messages {
            let row: Value = view::summary(&definitions, message);
            let text = row.to_string();
            let known = self.known.insert(message.id, text.clone());
            if known.as_ref() != Some(&text) {
                self.ready.push_back(event("message", None, &text));
            }
        }
        if self.api.context.store.has_one_process() {
            self.known.clear();
        }
    }
}
