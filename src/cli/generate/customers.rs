//! Customers: `C000001` and on.

use std::io::Write;

use super::chance::Chance;

/// A file of customers.
#[derive(Debug, Clone, Copy)]
pub(in crate::cli) struct Customers {
    pub(in crate::cli) seed: u64,
    pub(in crate::cli) rows: u64,
}

/// A place: city, country, postal code of so many digits.
pub(super) const PLACES: [(&str, &str, u32); 16] = [
    ("Aachen", "Germany", 5),
    ("Albuquerque", "USA", 5),
    ("Barcelona", "Spain", 5),
    ("Bern", "Switzerland", 4),
    ("Bruxelles", "Belgium", 4),
    ("Buenos Aires", "Argentina", 4),
    ("Cork", "Ireland", 5),
    ("Graz", "Austria", 4),
    ("Helsinki", "Finland", 5),
    ("København", "Denmark", 4),
    ("Lisboa", "Portugal", 4),
    ("Luleå", "Sweden", 5),
    ("México D.F.", "Mexico", 5),
    ("Nantes", "France", 5),
    ("São Paulo", "Brazil", 5),
    ("Torino", "Italy", 5),
];

const FIRST_WORDS: [&str; 16] = [
    "Alpine",
    "Amber",
    "Blue Harbour",
    "Castle",
    "Copper",
    "Delta",
    "Evergreen",
    "Golden",
    "Iron Bridge",
    "Lakeside",
    "Maple",
    "North Star",
    "Old Mill",
    "Red Barn",
    "Silver",
    "Union",
];
const SECOND_WORDS: [&str; 12] = [
    "Bakeries",
    "Beverages",
    "Delicatessen",
    "Foods",
    "Grocers",
    "Imports",
    "Markets",
    "Provisions",
    "Seafood",
    "Trading",
    "Wholesale",
    "& Sons",
];
const FORMS: [&str; 6] = ["GmbH", "Ltd.", "Inc.", "S.A.", "AB", "S.p.A."];
pub(super) const STREETS: [&str; 12] = [
    "Bahnhofstr.",
    "Boulevard Tirou",
    "Calle Mayor",
    "Church Road",
    "Garden Lane",
    "Hauptstr.",
    "High Street",
    "Kirkegade",
    "Market Street",
    "Rue Royale",
    "Station Road",
    "Via Roma",
];

impl Customers {
    /// So many where nobody says.
    pub(in crate::cli) const USUAL: u64 = 1_000;

    /// Writes them as CSV.
    pub(in crate::cli) fn write(self, out: &mut dyn Write) -> std::io::Result<()> {
        out.write_all(b"customer_account,name,city,country\r\n")?;
        for number in 1..=self.rows {
            let mut chance = Chance::of(self.seed, number);
            let (city, country, _) = PLACES[usize::try_from(chance.below(PLACES.len() as u64)).unwrap_or(0)];
            writeln!(
                out,
                "{},\"{}\",{city},{country}\r",
                account(number),
                company_name(&mut chance)
            )?;
        }
        Ok(())
    }
}

/// The account of the customer with this number, from 1.
pub(super) fn account(number: u64) -> String {
    format!("C{number:06}")
}

/// A company's name, with a comma now and then.
pub(super) fn company_name(chance: &mut Chance) -> String {
    let (first, second) = (chance.pick(&FIRST_WORDS), chance.pick(&SECOND_WORDS));
    let form = chance.pick(&FORMS);
    let comma = if chance.below(4) == 0 { "," } else { "" };
    format!("{first} {second}{comma} {form}")
}
