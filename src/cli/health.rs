//! `tranship health`: whether the service is up and able to work, for container health checks and scripts.

use std::time::{Duration, Instant};

use serde_json::Value;
use url::Url;

use super::connection::service_url;
use super::screen::Screen;
use super::{Exit, Failure, api};

/// Longest wait for the answer: a health check that hangs says as much as one that fails.
const ANSWER_SECONDS_MAX: u64 = 4;

/// Between two questions, while waiting.
const BETWEEN_QUESTIONS: Duration = Duration::from_millis(200);

/// Ask whether the service is ready; needs no client
#[derive(Debug, clap::Args)]
pub struct Health {
    /// Address of the service
    #[arg(long, env = "TRANSHIP_URL", default_value = "http://127.0.0.1:8080", value_name = "URL", value_parser = service_url)]
    url: Url,
    /// Ask until it is ready, for at most this many seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 0, value_parser = clap::value_parser!(u64).range(..=86_400))]
    wait: u64,
    /// Print the answer as JSON
    #[arg(long)]
    pub json: bool,
}

impl Health {
    pub(super) async fn run(self, screen: &Screen) -> Result<Exit, Failure> {
        let deadline = Instant::now() + Duration::from_secs(self.wait);
        loop {
            let asked = self.ask().await;
            let is_ready = matches!(&asked, Ok((true, _)));
            if is_ready || Instant::now() >= deadline {
                let (is_ready, body) = asked?;
                self.show(screen, &body);
                return Ok(if is_ready { Exit::Ok } else { Exit::Unreachable });
            }
            tokio::time::sleep(BETWEEN_QUESTIONS).await;
        }
    }

    /// Whether it is ready, and what it says.
    async fn ask(&self) -> Result<(bool, Value), Failure> {
        let address = self
            .url
            .join("health/ready")
            .map_err(|e| Failure::new(Exit::Usage, format!("--url: {e}")))?;
        let request = api::plain(&self.url)?
            .get(address)
            .timeout(Duration::from_secs(ANSWER_SECONDS_MAX));
        let unreachable =
            |error: reqwest::Error| Failure::new(Exit::Unreachable, format!("no answer from {}: {error}", self.url));
        let answer = request.send().await.map_err(unreachable)?;
        let is_ready = answer.status().is_success();
        Ok((is_ready, answer.json().await.map_err(unreachable)?))
    }

    fn show(&self, screen: &Screen, body: &Value) {
        if self.json {
            screen.line(body.to_string());
            return;
        }
        let word = |name: &str| body[name].as_str().unwrap_or("unknown").to_owned();
        screen.line(format!(
            "{}: store {}, blobs {}",
            word("status"),
            word("store"),
            word("blobs")
        ));
    }
}
