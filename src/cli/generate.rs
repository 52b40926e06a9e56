//! `tranship generate`: realistic data of any size, good and bad, the same for the same seed.
//!
//! Owns: customers, sales orders that refer to them, what is wrong with a known share of the orders, and the definitions
//! they fit. Nothing is held in memory: a record is made, written and forgotten.

mod chance;
mod customers;
mod orders;
mod set_up;

use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use super::screen::{Screen, counted};
use super::{Exit, Failure};
pub(super) use customers::Customers;
pub(super) use orders::{Made, Orders};
use set_up::SetUp;
pub(super) use set_up::{CUSTOMERS_JOB, ORDERS_JOB, write as write_set_up};

/// Bytes written at once.
const BUFFER_BYTES: usize = 256 * 1024;

/// Make sample data of any size
#[derive(Debug, clap::Subcommand)]
#[command(after_help = "\
The same seed makes the same file. Load one:
  tranship generate set-up --dir try
  cd try
  tranship generate customers --out customers.csv
  tranship generate sales-orders --rows 200000 --bad 1% --out orders.csv
  tranship serve                                                        # in another terminal
  tranship push customers.csv --job \"Generated customers\" --wait
  tranship push orders.csv --job \"Generated sales orders\" --wait")]
pub enum Generate {
    /// Sales orders of 20 columns as CSV
    SalesOrders(SalesOrders),
    /// The customers that sales orders refer to, as CSV
    Customers(CustomersFile),
    /// The entities and jobs that load both
    SetUp(SetUp),
}

/// Sales orders of 20 columns as CSV
#[derive(Debug, clap::Args)]
pub struct SalesOrders {
    /// How many
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    rows: u64,
    /// Share of records that are wrong, in turn by type, length, reference and repeated key
    #[arg(long, value_name = "SHARE", default_value = "0%", value_parser = share)]
    bad: Share,
    /// Share of records, beside the wrong ones, that only a constraint of the table refuses
    #[arg(long, value_name = "SHARE", default_value = "0%", value_parser = share)]
    refused: Share,
    /// How many customers there are to refer to
    #[arg(long, value_name = "N", default_value_t = Customers::USUAL, value_parser = clap::value_parser!(u64).range(1..))]
    customers: u64,
    #[command(flatten)]
    output: Output,
}

/// The customers that sales orders refer to, as CSV
#[derive(Debug, clap::Args)]
pub struct CustomersFile {
    /// How many
    #[arg(long, value_name = "N", default_value_t = Customers::USUAL)]
    rows: u64,
    #[command(flatten)]
    output: Output,
}

#[derive(Debug, clap::Args)]
struct Output {
    /// Another seed makes other data
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// File to write, `-` for standard output; one that is there is not written over
    #[arg(long, value_name = "FILE", default_value = "-")]
    out: PathBuf,
    /// Print what was made as JSON; with --out
    #[arg(long)]
    json: bool,
}

/// A share of records, in millionths.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Share(pub(super) u32);

impl Generate {
    /// Whether answers are to be JSON.
    pub(super) fn json(&self) -> bool {
        match self {
            Self::SalesOrders(orders) => orders.output.json,
            Self::Customers(customers) => customers.output.json,
            Self::SetUp(set_up) => set_up.json,
        }
    }

    pub(super) async fn run(self, screen: &Screen) -> Result<Exit, Failure> {
        match self {
            Self::SalesOrders(wanted) => wanted.run(screen),
            Self::Customers(wanted) => wanted.run(screen),
            Self::SetUp(wanted) => wanted.run(screen).await,
        }
    }
}

impl SalesOrders {
    fn run(self, screen: &Screen) -> Result<Exit, Failure> {
        let orders = Orders {
            seed: self.output.seed,
            rows: self.rows,
            bad: self.bad,
            refused: self.refused,
            customers: self.customers,
        };
        let made = self.output.write(|out| orders.write(out))?;
        let Some(made) = made else { return Ok(Exit::Ok) };
        if screen.is_json() {
            screen.json(&made);
            return Ok(Exit::Ok);
        }
        screen.line(format!(
            "{} in {}: {} wrong (type {}, length {}, reference {}, repeated key {}), {} for the table to refuse",
            counted(made.rows, "sales order"),
            self.output.out.display(),
            made.bad(),
            made.types,
            made.lengths,
            made.references,
            made.duplicates,
            made.refused
        ));
        Ok(Exit::Ok)
    }
}

impl CustomersFile {
    fn run(self, screen: &Screen) -> Result<Exit, Failure> {
        let customers = Customers {
            seed: self.output.seed,
            rows: self.rows,
        };
        if self.output.write(|out| customers.write(out))?.is_none() {
            return Ok(Exit::Ok);
        }
        if screen.is_json() {
            screen.json(&serde_json::json!({"rows": self.rows}));
        } else {
            screen.line(format!(
                "{} in {}",
                counted(self.rows, "customer"),
                self.output.out.display()
            ));
        }
        Ok(Exit::Ok)
    }
}

impl Output {
    /// Writes what `write_all` writes; nothing is said when it went to standard output.
    fn write<T>(&self, write_all: impl FnOnce(&mut dyn Write) -> std::io::Result<T>) -> Result<Option<T>, Failure> {
        if self.out == Path::new("-") {
            let mut out = BufWriter::with_capacity(BUFFER_BYTES, std::io::stdout().lock());
            let made = write_all(&mut out).and_then(|_| out.flush());
            return match made {
                // `tranship generate … | head` is no failure.
                Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(Failure::failed(format!(
                    "standard output could not be written: {error}"
                ))),
                _ => Ok(None),
            };
        }
        let broken = |error: std::io::Error| Failure::file("write", &self.out, &error);
        let file = std::fs::File::create_new(&self.out).map_err(broken)?;
        let mut out = BufWriter::with_capacity(BUFFER_BYTES, file);
        let made = write_all(&mut out).map_err(broken)?;
        out.flush().map_err(broken)?;
        Ok(Some(made))
    }
}

/// `1%`, `0.1%` or a fraction such as `0.01`.
pub(super) fn share(text: &str) -> Result<Share, String> {
    let wrong = || format!("`{text}` is no share: write one from 0% to 100%, such as 1% or 0.1%");
    let (number, whole) = match text.trim().strip_suffix('%') {
        Some(percent) => (percent.trim(), 100.0),
        None => (text.trim(), 1.0),
    };
    let number: f64 = number.parse().map_err(|_| wrong())?;
    if !(0.0..=whole).contains(&number) {
        return Err(wrong());
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a share of at most 1, in millionths"
    )]
    let millionths = (number / whole * 1_000_000.0).round() as u32;
    Ok(Share(millionths))
}

#[cfg(test)]
mod tests;
