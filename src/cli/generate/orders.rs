//! Sales orders: `SO-00000001` and on, 20 columns, a known share of them wrong.

use std::io::Write;

use serde::Serialize;

use super::Share;
use super::chance::Chance;
use super::customers::{PLACES, STREETS, account, company_name};

/// A file of sales orders.
#[derive(Debug, Clone, Copy)]
pub(in crate::cli) struct Orders {
    pub(in crate::cli) seed: u64,
    pub(in crate::cli) rows: u64,
    /// Of these, in turn: a wrong type, a value too long, a customer that is not there, the key of the record before.
    pub(in crate::cli) bad: Share,
    /// Beside them: records that only the table's own constraint refuses.
    pub(in crate::cli) refused: Share,
    pub(in crate::cli) customers: u64,
}

/// What was made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(in crate::cli) struct Made {
    pub(in crate::cli) rows: u64,
    pub(in crate::cli) types: u64,
    pub(in crate::cli) lengths: u64,
    pub(in crate::cli) references: u64,
    pub(in crate::cli) duplicates: u64,
    pub(in crate::cli) refused: u64,
}

/// What is wrong with a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flaw {
    Type,
    Length,
    Reference,
    Duplicate,
    Refused,
}

/// The value of `terms` that the table's constraint refuses (see the definitions).
pub(super) const REFUSED_TERMS: &str = "BARTER";

const HEADER: &str = "order_number,customer_account,order_date,requested_date,shipped_at,status,currency,terms,ship_via,\
ship_name,ship_address,ship_city,ship_postal_code,ship_country,freight,subtotal,tax,line_count,prepaid,reference\r\n";
const STATUSES: [&str; 4] = ["Open", "Confirmed", "Shipped", "Invoiced"];
const CURRENCIES: [&str; 5] = ["EUR", "USD", "GBP", "SEK", "CHF"];
const TERMS: [&str; 4] = ["NET30", "NET14", "NET60", "COD"];
const CARRIERS: [&str; 3] = ["Speedy Express", "United Package", "Federal Shipping"];

impl Made {
    /// Records that are wrong before the table sees them.
    pub(in crate::cli) fn bad(&self) -> u64 {
        self.types + self.lengths + self.references + self.duplicates
    }
}

impl Orders {
    /// Writes them as CSV.
    pub(in crate::cli) fn write(self, out: &mut dyn Write) -> std::io::Result<Made> {
        out.write_all(HEADER.as_bytes())?;
        let mut made = Made {
            rows: self.rows,
            ..Made::default()
        };
        let mut line = Vec::with_capacity(512);
        // The key that a repeated one repeats.
        let mut last_good = 0;
        for number in 1..=self.rows {
            let mut chance = Chance::of(self.seed, number);
            let flaw = self.flaw(&mut chance, &made, last_good);
            match flaw {
                None => last_good = number,
                Some(Flaw::Type) => made.types += 1,
                Some(Flaw::Length) => made.lengths += 1,
                Some(Flaw::Reference) => made.references += 1,
                Some(Flaw::Duplicate) => made.duplicates += 1,
                Some(Flaw::Refused) => made.refused += 1,
            }
            let key = if flaw == Some(Flaw::Duplicate) {
                last_good
            } else {
                number
            };
            line.clear();
            self.record(&mut line, key, &mut chance, flaw)?;
            out.write_all(&line)?;
        }
        Ok(made)
    }

    fn flaw(self, chance: &mut Chance, made: &Made, last_good: u64) -> Option<Flaw> {
        let drawn = chance.below(1_000_000);
        let bad = u64::from(self.bad.0);
        if drawn >= bad {
            return (drawn < bad + u64::from(self.refused.0)).then_some(Flaw::Refused);
        }
        Some(match made.bad() % 4 {
            0 => Flaw::Type,
            1 => Flaw::Length,
            2 => Flaw::Reference,
            // The first record has no other's key to repeat.
            _ if last_good == 0 => Flaw::Reference,
            _ => Flaw::Duplicate,
        })
    }

    fn record(self, out: &mut Vec<u8>, key: u64, chance: &mut Chance, flaw: Option<Flaw>) -> std::io::Result<()> {
        let customer = match flaw {
            Some(Flaw::Reference) => account(self.customers + 1 + chance.below(14)),
            _ => account(1 + chance.below(self.customers)),
        };
        let (day, hour, minute) = (chance.below(365 * 3), chance.below(24), chance.below(60));
        let status = chance.pick(&STATUSES);
        let shipped = if matches!(status, "Shipped" | "Invoiced") {
            format!("{} {hour:02}:{minute:02}:00", date(day + 3))
        } else {
            String::new()
        };
        let currency = if flaw == Some(Flaw::Length) {
            "EURO"
        } else {
            chance.pick(&CURRENCIES)
        };
        let terms = if flaw == Some(Flaw::Refused) {
            REFUSED_TERMS
        } else {
            chance.pick(&TERMS)
        };
        let (city, country, digits) = PLACES[usize::try_from(chance.below(PLACES.len() as u64)).unwrap_or(0)];
        let subtotal = 1_000 + chance.below(900_000);
        let freight = if flaw == Some(Flaw::Type) {
            "12,4O".to_owned()
        } else {
            money(chance.below(20_000))
        };
        write!(
            out,
            "SO-{key:08},{customer},{} {hour:02}:{minute:02}:00,{},{shipped},{status},{currency},{terms},{},\"{}\",\"{} {}\",{city},{:0width$},{country},",
            date(day),
            date(day + 7),
            chance.pick(&CARRIERS),
            company_name(chance),
            chance.pick(&STREETS),
            1 + chance.below(180),
            chance.below(10_u64.pow(digits)),
            width = digits as usize,
        )?;
        writeln!(
            out,
            "\"{freight}\",{},{},{},{},PO {:06}\r",
            money(subtotal),
            money(subtotal * 19 / 100),
            1 + chance.below(12),
            if chance.below(5) == 0 { "true" } else { "false" },
            chance.below(1_000_000),
        )
    }
}

/// Cents as an amount.
fn money(cents: u64) -> String {
    format!("{}.{:02}", cents / 100, cents % 100)
}

/// The day so many days after 2023-01-01.
fn date(days: u64) -> chrono::NaiveDate {
    chrono::NaiveDate::from_ymd_opt(2023, 1, 1).unwrap_or_default() + chrono::Days::new(days)
}
