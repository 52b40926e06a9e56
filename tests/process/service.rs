//! One running Tranship process. It dies with the value, and its log is printed when the test fails.

use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// Longest wait for a process to listen, to be ready, or to end.
const PATIENCE: Duration = Duration::from_mins(1);

/// A started `tranship serve`.
pub struct Service {
    /// `http://127.0.0.1:PORT`
    pub base: String,
    child: Child,
    /// The service itself: the child, or the child's child under a tracer.
    pid: u32,
    log: PathBuf,
}

impl Service {
    /// Starts `command` (a `serve`, perhaps under a tracer) and waits until it is ready. `data_dir` is the service's own:
    /// it writes the address it listens on to `listening` in there.
    pub async fn start(command: Command, data_dir: &Path) -> Self {
        Self::try_start(command, data_dir)
            .await
            .unwrap_or_else(|failure| panic!("the service did not start: {failure}"))
    }

    /// Like [`Service::start`], for a service that may refuse.
    pub async fn try_start(command: Command, data_dir: &Path) -> Result<Self, String> {
        let mut service = Self::listening(command, data_dir).await?;
        service.wait_until_ready().await?;
        Ok(service)
    }

    /// The same, but it listens and need not be ready.
    pub async fn listening(mut command: Command, data_dir: &Path) -> Result<Self, String> {
        let listening = data_dir.join("listening");
        // Left behind by a process that was killed.
        let _ = std::fs::remove_file(&listening);
        let log = data_dir.with_extension("log");
        let output = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(&log)
            .expect("the log opens");
        let child = command
            .stdin(Stdio::null())
            .stdout(output.try_clone().expect("the log has a second handle"))
            .stderr(output)
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?} runs: {error}"));
        let mut service = Self {
            base: String::new(),
            pid: child.id(),
            child,
            log,
        };
        service.wait_for_address(&listening).await?;
        service.pid = service.innermost();
        Ok(service)
    }

    /// Starts `command`, which has to be killed at its failpoint.
    pub async fn dies(mut command: Command, data_dir: &Path) {
        let log = std::fs::File::create(data_dir.with_extension("dead.log")).expect("the log opens");
        command
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a second handle"))
            .stderr(log);
        let mut child = command.spawn().expect("it starts");
        let began = Instant::now();
        let ended = loop {
            if let Some(status) = child.try_wait().expect("the child can be asked") {
                break Some(status);
            }
            if began.elapsed() > PATIENCE {
                let _ = child.kill();
                break None;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        };
        let log = std::fs::read_to_string(data_dir.with_extension("dead.log")).unwrap_or_default();
        assert_eq!(
            ended.and_then(|status| status.signal()),
            Some(9),
            "it comes to its failpoint:\n{log}"
        );
    }

    async fn wait_for_address(&mut self, listening: &Path) -> Result<(), String> {
        let began = Instant::now();
        while began.elapsed() < PATIENCE {
            if let Some(status) = self.child.try_wait().expect("the child can be asked") {
                return Err(format!("it ended with {status}:\n{}", self.log()));
            }
            if let Ok(address) = std::fs::read_to_string(listening)
                && !address.trim().is_empty()
            {
                self.base = format!("http://{}", address.trim());
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Err(format!(
            "no {} after {PATIENCE:?}:\n{}",
            listening.display(),
            self.log()
        ))
    }

    async fn wait_until_ready(&mut self) -> Result<(), String> {
        let http = crate::wire::http();
        let url = format!("{}/health/ready", self.base);
        let began = Instant::now();
        while began.elapsed() < PATIENCE {
            if let Ok(answer) = http.get(&url).send().await
                && answer.status() == 200
            {
                return Ok(());
            }
            if let Some(status) = self.child.try_wait().expect("the child can be asked") {
                return Err(format!("it ended with {status}:\n{}", self.log()));
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Err(format!("not ready after {PATIENCE:?}:\n{}", self.log()))
    }

    /// Everything it said so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// `kill -9`: no destructor, no flush, no goodbye.
    pub fn kill9(mut self) {
        self.signal("KILL");
        self.child.wait().expect("a killed child ends");
    }

    /// Waits until it was killed by its failpoint.
    pub async fn killed(mut self) {
        let began = Instant::now();
        while self.child.try_wait().expect("the child can be asked").is_none() {
            assert!(
                began.elapsed() < PATIENCE,
                "it never comes to its failpoint:\n{}",
                self.log()
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let ended = self.child.wait().expect("it has ended");
        assert_eq!(ended.signal(), Some(9), "it comes to its failpoint:\n{}", self.log());
    }

    /// SIGTERM, and how it ended.
    pub async fn stop(mut self) -> ExitStatus {
        self.signal("TERM");
        let began = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("the child can be asked") {
                return status;
            }
            assert!(
                began.elapsed() < PATIENCE,
                "still running {PATIENCE:?} after SIGTERM:\n{}",
                self.log()
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// SIGSTOP: nothing of it runs any more, and nobody is told.
    pub fn pause(&self) {
        self.signal("STOP");
    }

    /// SIGCONT: it continues as if no time had passed.
    pub fn resume(&self) {
        self.signal("CONT");
    }

    /// SIGHUP: it reads its definitions again.
    pub fn reload(&self) {
        self.signal("HUP");
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("the child can be asked").is_none()
    }

    /// Resident memory that no file backs.
    pub fn held_kib(&self) -> u64 {
        self.memory_kib("RssAnon:")
    }

    /// Resident memory.
    pub fn resident_kib(&self) -> u64 {
        self.memory_kib("VmRSS:")
    }

    /// The most resident memory it ever had.
    pub fn peak_kib(&self) -> u64 {
        self.memory_kib("VmHWM:")
    }

    fn memory_kib(&self, line: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid)).expect("/proc knows the process");
        let number = status
            .lines()
            .find_map(|text| text.strip_prefix(line)?.split_whitespace().next());
        number
            .and_then(|n| n.parse().ok())
            .unwrap_or_else(|| panic!("{line} is a number"))
    }

    /// Files, sockets and whatever else it holds open.
    pub fn descriptors(&self) -> u64 {
        let open = std::fs::read_dir(format!("/proc/{}/fd", self.pid)).expect("/proc knows the process");
        open.count() as u64
    }

    /// Clock ticks of CPU it used, in user and kernel mode (`proc(5)`: fields 14 and 15 of `stat`).
    pub fn cpu_ticks(&self) -> u64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid)).expect("/proc knows the process");
        // The command's name comes second, in brackets, and may hold anything.
        let (_, after_name) = stat.rsplit_once(')').expect("a name in brackets");
        let fields: Vec<&str> = after_name.split_whitespace().collect();
        let tick = |index: usize| fields[index].parse::<u64>().expect("a number of ticks");
        tick(11) + tick(12)
    }

    /// How often its threads went to sleep so far: what polls wakes up, whatever the machine makes of it.
    pub fn sleeps(&self) -> u64 {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.pid)).expect("/proc knows the process");
        let of_task = |task: std::io::Result<std::fs::DirEntry>| -> Option<u64> {
            // A thread may end meanwhile.
            let status = std::fs::read_to_string(task.ok()?.path().join("status")).ok()?;
            let line = status
                .lines()
                .find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"))?;
            line.trim().parse().ok()
        };
        tasks.filter_map(of_task).sum()
    }

    /// A tracer has the service as its only child.
    fn innermost(&self) -> u32 {
        let pid = self.child.id();
        std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"))
            .ok()
            .and_then(|children| children.split_whitespace().next()?.parse().ok())
            .unwrap_or(pid)
    }

    fn signal(&self, name: &str) {
        let done = Command::new("kill")
            .args([&format!("-{name}"), &self.pid.to_string()])
            .status()
            .expect("kill runs");
        assert!(done.success(), "SIG{name} reaches the service");
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        if self.child.try_wait().is_ok_and(|status| status.is_none()) {
            // Not through `signal`: a destructor must not panic.
            let _ = Command::new("kill").args(["-KILL", &self.pid.to_string()]).status();
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
        if std::thread::panicking() {
            eprintln!("--- log of {}\n{}", self.base, self.log());
        }
    }
}
