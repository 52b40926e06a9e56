//! What stands between the service and something it needs, and lets through what it is told to.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::AbortHandle;

/// What becomes of connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// All goes through.
    Pass,
    /// The open ones are closed, and new ones too.
    Cut,
    /// They stay open, and nothing comes any more: as if a cable were pulled, and nobody told.
    Frozen,
    /// The open ones are closed; new ones get this answer to an HTTP request.
    Unwell,
    /// All goes through, in pieces and late.
    Slow,
}

const UNWELL: &[u8] = b"HTTP/1.1 503 Slow Down\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
/// A piece, and how long it takes, of what is slow.
const PIECE: usize = 4 * 1024;
const LATE: Duration = Duration::from_millis(20);

pub struct Proxy {
    pub address: SocketAddr,
    mode: watch::Sender<Mode>,
    target: watch::Sender<String>,
    connections: Arc<Mutex<Vec<AbortHandle>>>,
}

impl Proxy {
    /// To whatever listens at `host:port`.
    pub async fn to(target: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let (mode, seen) = watch::channel(Mode::Pass);
        let (target, aim) = watch::channel(target);
        let connections = Arc::<Mutex<Vec<AbortHandle>>>::default();
        let known = Arc::clone(&connections);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let there = aim.borrow().clone();
                let carried = tokio::spawn(carry(stream, there, seen.clone())).abort_handle();
                let mut known = known.lock().expect("nobody fails while holding it");
                known.retain(|connection| !connection.is_finished());
                known.push(carried);
            }
        });
        Self {
            address,
            mode,
            target,
            connections,
        }
    }

    /// To the server of a PostgreSQL URL.
    pub async fn to_server_of(url: &str) -> Self {
        let url = url::Url::parse(url).expect("a URL");
        Self::to(format!(
            "{}:{}",
            url.host_str().expect("a host"),
            url.port().unwrap_or(5432)
        ))
        .await
    }

    /// The URL of that server, through the proxy.
    pub fn through(&self, url: &str) -> String {
        let mut url = url::Url::parse(url).expect("a URL");
        url.set_ip_host(self.address.ip()).expect("a host may be an address");
        url.set_port(Some(self.address.port())).expect("a port");
        url.into()
    }

    pub fn set(&self, mode: Mode) {
        self.mode.send_replace(mode);
    }

    /// New connections lead to another `host:port`.
    pub fn aim(&self, target: String) {
        self.target.send_replace(target);
    }

    /// Breaks those of the open connections that are chosen, wherever they are in what they carry. How many.
    pub fn cut(&self, mut is_chosen: impl FnMut() -> bool) -> usize {
        let mut connections = self.connections.lock().expect("nobody fails while holding it");
        connections.retain(|connection| !connection.is_finished());
        let chosen = connections.iter().filter(|_| is_chosen());
        chosen.map(AbortHandle::abort).count()
    }
}

async fn carry(stream: TcpStream, target: String, mode: watch::Receiver<Mode>) {
    let now = *mode.borrow();
    match now {
        Mode::Cut => {}
        Mode::Unwell => refuse(stream).await,
        Mode::Pass | Mode::Frozen | Mode::Slow => {
            let Ok(there) = TcpStream::connect(target).await else {
                return;
            };
            let (from, to) = (stream.into_split(), there.into_split());
            tokio::join!(pump(from.0, to.1, mode.clone()), pump(to.0, from.1, mode));
        }
    }
}

/// Answers once the request's head is there; the body is read as far as it comes with it.
async fn refuse(mut stream: TcpStream) {
    let mut buffer = vec![0; 64 * 1024];
    let mut head = Vec::new();
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        match stream.read(&mut buffer).await {
            Ok(read) if read > 0 => head.extend_from_slice(&buffer[..read]),
            _ => return,
        }
    }
    let _ = stream.write_all(UNWELL).await;
    // What still comes is taken, so that the answer is read before the connection breaks.
    while matches!(tokio::time::timeout(Duration::from_millis(200), stream.read(&mut buffer)).await, Ok(Ok(read)) if read > 0)
    {
    }
}

async fn pump(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut mode: watch::Receiver<Mode>) {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let now = *mode.borrow_and_update();
        let most = match now {
            Mode::Cut | Mode::Unwell => return,
            Mode::Frozen => {
                if mode.changed().await.is_err() {
                    return;
                }
                continue;
            }
            Mode::Pass => buffer.len(),
            Mode::Slow => PIECE,
        };
        tokio::select! {
            changed = mode.changed() => if changed.is_err() { return },
            read = from.read(&mut buffer[..most]) => match read {
                Ok(read) if read > 0 => {
                    if now == Mode::Slow {
                        tokio::time::sleep(LATE).await;
                    }
                    if to.write_all(&buffer[..read]).await.is_err() {
                        return;
                    }
                }
                _ => return,
            },
        }
    }
}
