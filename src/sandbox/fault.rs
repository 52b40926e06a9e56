//! One fault: what goes wrong, where, and how often. Read from what somebody asked for, with every mistake told.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::domain::ids::JobId;

/// Most that one fault may strike.
const TIMES_MAX: u64 = 1_000_000;
/// Longest pause or delay of an answer, in milliseconds.
const MILLISECONDS_MAX: u64 = 600_000;
/// Longest delay of a status, in seconds.
const SECONDS_MAX: u64 = 86_400;
/// Longest name, in bytes.
const NAME_BYTES_MAX: usize = 64;
/// Longest path pattern, in bytes.
const PATH_BYTES_MAX: usize = 1000;
/// What `Retry-After` says of a 429 or 503 unless asked otherwise.
const RETRY_AFTER_SECONDS: u32 = 1;

/// Kinds of fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Acknowledgements fail and acknowledge nothing.
    FailAck,
    /// A request is answered with a status and is not carried out.
    Answer,
    /// A request is carried out, and the connection closed instead of an answer.
    LoseAnswer,
    /// An answer comes later.
    DelayAnswer,
    /// Callers see how a message stood a while ago.
    DelayStatus,
    /// An import pauses before each chunk.
    SlowImport,
    /// A leased message is handed out once more, against RI-11.
    DeliverAgain,
}

/// A fault as it is asked for, and shown.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// By which it is found; made up where there is none.
    #[serde(default)]
    pub name: String,
    /// What goes wrong.
    pub kind: Kind,
    /// Only requests with this method.
    pub method: Option<String>,
    /// Only requests to paths like this; `*` stands for anything.
    pub path: Option<String>,
    /// Only what this client does.
    pub client: Option<String>,
    /// Only what this job, by name or id, is about.
    pub job: Option<String>,
    /// How often it strikes; without it until it is removed.
    pub times: Option<u64>,
    /// How likely it strikes where it could, over 0 and up to 1.
    pub probability: Option<f64>,
    /// What the dice begin with: the same seed, the same row of strikes.
    pub seed: Option<u64>,
    /// Of `answer`: the HTTP status.
    pub status: Option<u16>,
    /// Of `answer`: what `Retry-After` says.
    pub retry_after_seconds: Option<u32>,
    /// Of `delay_answer` and `slow_import`: how long.
    pub milliseconds: Option<u64>,
    /// Of `delay_status`: how long.
    pub seconds: Option<u64>,
}

/// Who asks, and which job it is about.
#[derive(Debug, Clone, Copy)]
pub struct About<'a> {
    /// The job's name.
    pub job: &'a str,
    /// Its id.
    pub job_id: JobId,
    /// The client, where one asks.
    pub client: Option<&'a str>,
}

impl Fault {
    /// Fills in what may be left out, and says what is wrong, in a sentence.
    ///
    /// # Errors
    /// The sentence.
    pub fn checked(mut self) -> Result<Self, String> {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if self.name.len() > NAME_BYTES_MAX || !self.name.chars().all(is_plain) {
            return Err(format!(
                "`name` holds letters, digits, `-`, `_` and `.`, at most {NAME_BYTES_MAX}"
            ));
        }
        self.check_members()?;
        check_range("times", self.times, 1, TIMES_MAX)?;
        check_range("milliseconds", self.milliseconds, 1, MILLISECONDS_MAX)?;
        check_range("seconds", self.seconds, 1, SECONDS_MAX)?;
        check_range("status", self.status.map(u64::from), 400, 599)?;
        if self.probability.is_some_and(|p| !(p > 0.0 && p <= 1.0)) {
            return Err("`probability` is a number over 0 and up to 1".to_owned());
        }
        if self.seed.is_some() && self.probability.is_none() {
            return Err("`seed` goes with `probability`".to_owned());
        }
        if self
            .path
            .as_ref()
            .is_some_and(|path| !path.starts_with(['/', '*']) || path.len() > PATH_BYTES_MAX)
        {
            return Err("`path` begins with / or *, such as /api/connector/enqueue/*".to_owned());
        }
        if self.kind == Kind::Answer && matches!(self.status, Some(429 | 503)) {
            self.retry_after_seconds.get_or_insert(RETRY_AFTER_SECONDS);
        }
        self.method = self.method.map(|method| method.to_ascii_uppercase());
        Ok(self)
    }

    /// What a kind needs must be there, and what it does not know may not.
    fn check_members(&self) -> Result<(), String> {
        let (needed, known): (&[&str], &[&str]) = match self.kind {
            Kind::Answer => (
                &["status"],
                &[
                    "method",
                    "path",
                    "client",
                    "times",
                    "probability",
                    "seed",
                    "retry_after_seconds",
                ],
            ),
            Kind::LoseAnswer => (&[], &["method", "path", "client", "times", "probability", "seed"]),
            Kind::DelayAnswer => (
                &["milliseconds"],
                &["method", "path", "client", "times", "probability", "seed"],
            ),
            Kind::FailAck | Kind::DeliverAgain => (&[], &["job", "client", "times", "probability", "seed"]),
            Kind::SlowImport => (&["milliseconds"], &["job", "times", "probability", "seed"]),
            // Off and on again, a status would go back and forth.
            Kind::DelayStatus => (&["seconds"], &["job", "client"]),
        };
        let given = [
            ("method", self.method.is_some()),
            ("path", self.path.is_some()),
            ("client", self.client.is_some()),
            ("job", self.job.is_some()),
            ("times", self.times.is_some()),
            ("probability", self.probability.is_some()),
            ("seed", self.seed.is_some()),
            ("status", self.status.is_some()),
            ("retry_after_seconds", self.retry_after_seconds.is_some()),
            ("milliseconds", self.milliseconds.is_some()),
            ("seconds", self.seconds.is_some()),
        ];
        let is_given = |name: &&&str| given.iter().any(|(member, is_given)| *member == **name && *is_given);
        let kind = self.kind.word();
        if let Some(missing) = needed.iter().find(|name| !is_given(name)) {
            return Err(format!("`{kind}` needs `{missing}`"));
        }
        let strange = given
            .iter()
            .find(|(name, is_given)| *is_given && !needed.contains(name) && !known.contains(name));
        match strange {
            Some((name, _)) => Err(format!(
                "`{name}` says nothing of a `{kind}`; it takes {}",
                [needed, known].concat().join(", ")
            )),
            None => Ok(()),
        }
    }

    /// Whether a request is one it strikes.
    #[must_use]
    pub fn is_of_request(&self, method: &str, path: &str, client: Option<&str>) -> bool {
        self.method.as_ref().is_none_or(|wanted| wanted == method)
            && self.path.as_ref().is_none_or(|pattern| is_like(path, pattern))
            && self.is_of_client(client)
    }

    /// Whether what a job or client does is what it strikes.
    #[must_use]
    pub fn is_about(&self, about: About<'_>) -> bool {
        let is_job = |job: &String| {
            job.to_lowercase() == about.job.to_lowercase() || job.parse().is_ok_and(|id: JobId| id == about.job_id)
        };
        self.job.as_ref().is_none_or(is_job) && self.is_of_client(about.client)
    }

    fn is_of_client(&self, client: Option<&str>) -> bool {
        let wanted = self.client.as_ref();
        wanted.is_none_or(|wanted| client.is_some_and(|client| client.to_lowercase() == wanted.to_lowercase()))
    }

    /// How long it pauses or delays.
    #[must_use]
    pub fn pause(&self) -> Duration {
        Duration::from_millis(self.milliseconds.unwrap_or(0))
    }
}

impl Kind {
    /// The word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::FailAck => "fail_ack",
            Self::Answer => "answer",
            Self::LoseAnswer => "lose_answer",
            Self::DelayAnswer => "delay_answer",
            Self::DelayStatus => "delay_status",
            Self::SlowImport => "slow_import",
            Self::DeliverAgain => "deliver_again",
        }
    }
}

fn check_range(name: &str, value: Option<u64>, least: u64, most: u64) -> Result<(), String> {
    match value.filter(|value| !(least..=most).contains(value)) {
        Some(value) => Err(format!("`{name}` is {value}; it is a number from {least} to {most}")),
        None => Ok(()),
    }
}

/// Whether a path is like a pattern, in which `*` stands for anything; case does not matter.
pub(super) fn is_like(path: &str, pattern: &str) -> bool {
    let (path, pattern) = (path.to_ascii_lowercase(), pattern.to_ascii_lowercase());
    let mut pieces = pattern.split('*');
    let first = pieces.next().unwrap_or_default();
    let Some(mut rest) = path.strip_prefix(first) else {
        return false;
    };
    let Some(last) = pieces.next_back() else {
        return rest.is_empty();
    };
    for piece in pieces {
        let Some(at) = rest.find(piece) else { return false };
        rest = &rest[at + piece.len()..];
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<Fault, String> {
        let fault: Fault = serde_json::from_str(json).map_err(|error| error.to_string())?;
        fault.checked()
    }

    #[test]
    fn a_star_stands_for_anything_in_a_path() {
        for (pattern, path) in [
            ("*", "/"),
            ("/api/connector/enqueue/*", "/api/connector/enqueue/%7B6d%7D"),
            ("/api/*/ACK", "/api/v1/leases/x/ack"),
            ("*token", "/contoso/oauth2/v2.0/token"),
            ("/a", "/A"),
        ] {
            assert!(is_like(path, pattern), "{pattern} {path}");
        }
        for (pattern, path) in [
            ("/a", "/ab"),
            ("/a*b", "/a"),
            ("/ab*b", "/ab"),
            ("/api/*/ack", "/api/v1/leases/x/acks"),
        ] {
            assert!(!is_like(path, pattern), "{pattern} {path}");
        }
    }

    #[test]
    fn what_makes_no_sense_is_told_with_what_would() {
        for (json, said) in [
            (r#"{"kind":"answer"}"#, "needs `status`"),
            (r#"{"kind":"answer","status":200}"#, "400 to 599"),
            (
                r#"{"kind":"answer","status":503,"job":"x"}"#,
                "`job` says nothing of a `answer`",
            ),
            (r#"{"kind":"lose_answer","seed":1}"#, "goes with `probability`"),
            (r#"{"kind":"lose_answer","probability":0}"#, "over 0"),
            (r#"{"kind":"lose_answer","times":0}"#, "from 1 to"),
            (r#"{"kind":"lose_answer","path":"api"}"#, "begins with /"),
            (r#"{"kind":"delay_status","seconds":5,"times":1}"#, "says nothing"),
            (r#"{"kind":"slow_import","milliseconds":5,"name":"a/b"}"#, "`name`"),
            (r#"{"kind":"eat_answer"}"#, "unknown variant"),
            (r#"{"kind":"answer","status":503,"tims":1}"#, "unknown field"),
        ] {
            let error = read(json).expect_err(json);
            assert!(error.contains(said), "{json}: {error}");
        }
        let fault = read(r#"{"kind":"answer","status":429,"method":"post"}"#).expect("a fault");
        assert_eq!(
            (fault.retry_after_seconds, fault.method.as_deref()),
            (Some(1), Some("POST"))
        );
    }
}
