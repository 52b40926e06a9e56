//! Number sequences: records without a value in a numbered field get the next numbers of their entity's sequence.
//!
//! Numbers are given when staging ends, to the records that are good by then, range by range: each range takes what it needs
//! from the sequence in one step, in the transaction that writes the numbers into staging. So no number is given twice, a
//! crash loses none, and a rerun finds those given before and changes none.

use super::control::LoadKey;
use super::dialect::{Dialect, quote};
use super::session::{Fault, Session, Value};
use super::staging::{GOOD_IN_RANGE, Load};
use super::{BusinessError, Database};
use crate::domain::auto_number::AutoNumber;
use crate::domain::entity::{Entity, Field, FieldType};

/// Digits a number of ours may have and still be one of 64 bits.
const DIGITS_MAX: u32 = 18;

/// The statements that number one field of one load.
#[derive(Clone)]
pub(super) struct Numbering {
    entity: String,
    field: Field,
    number: AutoNumber,
    /// Takes over the number that the target's row has already. None for a key: without one there is no row to find.
    known: Option<String>,
    /// Counts the records that need one.
    count: String,
    /// Finds the largest number of the sequence's form in the target.
    largest: String,
    /// Gives the numbers behind `$5` to the records, in their order.
    give: String,
    /// Finds a row of the target that has one of these numbers. Of a key, where the record would otherwise change that row.
    taken: Option<String>,
}

impl Database {
    /// Numbers the good records of a load. Safe to repeat.
    pub(super) async fn number_records(
        &self,
        load: Load<'_>,
        key: &LoadKey,
        records: u64,
        size: u64,
    ) -> Result<(), BusinessError> {
        let numberings = self.numberings(load);
        let mut first = 1;
        while first <= records && !numberings.is_empty() {
            let last = first.saturating_add(size - 1).min(records);
            let (key, numberings) = (key.clone(), numberings.clone());
            self.fenced(load.fence, move |session| {
                Box::pin(async move {
                    if number_range(session, &key, &numberings, first, last).await? == 0 {
                        session.discard();
                    }
                    Ok(())
                })
            })
            .await?;
            first = last + 1;
        }
        Ok(())
    }

    /// What a load numbers.
    pub(super) fn numberings(&self, load: Load<'_>) -> Vec<Numbering> {
        let fields = load.numbered.iter().filter_map(|name| load.entity.field(name));
        fields
            .filter_map(|field| Numbering::of(self.dialect(), load.entity, field))
            .collect()
    }
}

/// Numbers the good records of a range, and returns how many it changed.
pub(super) async fn number_range(
    session: &mut Session,
    key: &LoadKey,
    numberings: &[Numbering],
    first: u64,
    last: u64,
) -> Result<u64, Fault> {
    let mut changed = 0;
    // In the order of the fields, as every load does, so that two never wait for each other.
    for numbering in numberings {
        changed += numbering.run(session, key, first, last).await?;
    }
    Ok(changed)
}

impl Numbering {
    fn of(dialect: Dialect, entity: &Entity, field: &Field) -> Option<Self> {
        let number = field.auto_number.clone()?;
        let (staging, table) = (quote(&entity.staging_table()), quote(&entity.table));
        let column = quote(&field.name);
        let needs = format!("{GOOD_IN_RANGE} and s.{column} is null");
        let same_key: Vec<String> = entity
            .key
            .iter()
            .map(|name| format!("t.{0} = s.{0}", quote(name)))
            .collect();
        let known = (!entity.is_key(&field.name)).then(|| {
            format!(
                "update {staging} as s set {column} = t.{column} from {table} t \
                 where {needs} and t.{column} is not null and {}",
                same_key.join(" and ")
            )
        });
        let next = "(cast($5 as bigint) + c.place)";
        let value = match &field.kind {
            FieldType::String => {
                let digits = dialect.padded(next, number.format.width);
                format!("cast($6 as text) || {digits} || cast($7 as text)")
            }
            _ => next.to_owned(),
        };
        let placed = format!(
            "(select s.tranship_record, row_number() over (order by s.tranship_record) as place from {staging} s where {needs}) c"
        );
        let taken = entity
            .is_key(&field.name)
            .then(|| format!("select t.{column} from {placed} join {table} t on t.{column} = {value} limit 1"));
        Some(Self {
            taken,
            entity: entity.name.clone(),
            field: field.clone(),
            known,
            count: format!("select count(*) from {staging} s where {needs}"),
            largest: largest(&field.kind, &table, &column),
            give: format!(
                "update {staging} as u set {column} = {value} \
                 from {placed} \
                 where u.tranship_message = $1 and u.tranship_entity_no = $2 and u.tranship_record = c.tranship_record"
            ),
            number,
        })
    }

    /// Numbers a range, and says how many records it touched.
    async fn run(&self, session: &mut Session, key: &LoadKey, first: u64, last: u64) -> Result<u64, Fault> {
        let range = || key.with([first.into(), last.into()]);
        let known = match &self.known {
            Some(sql) => session.execute(sql.clone(), range()).await?,
            None => 0,
        };
        let row = session.row(self.count.clone(), range()).await?;
        let needed = row.ok_or(sqlx::Error::RowNotFound)?.int(0)?;
        if needed == 0 {
            return Ok(known);
        }
        let mut before = self.take(session, needed, self.number.start).await?;
        if let Some(sql) = &self.taken
            && session.row(sql.clone(), self.giving(range(), before)).await?.is_some()
        {
            let free = self.largest(session).await?.saturating_add(1);
            before = self.take(session, needed, free).await?;
        }
        self.check_room(before.saturating_add(needed))?;
        session.execute(self.give.clone(), self.giving(range(), before)).await?;
        Ok(known + needed.unsigned_abs())
    }

    /// The values of the statement that gives the numbers behind `before`.
    fn giving(&self, mut values: Vec<Value>, before: i64) -> Vec<Value> {
        values.push(Value::Int(before));
        if self.field.kind == FieldType::String {
            let format = &self.number.format;
            values.extend([&format.before, &format.after].map(|text| Value::Text(text.clone())));
        }
        values
    }

    /// Takes this many numbers off the sequence, none below `least`, and returns the one before the first of them.
    async fn take(&self, session: &mut Session, needed: i64, least: i64) -> Result<i64, Fault> {
        let name = || [&self.entity, &self.field.name].map(|text| Value::Text(text.clone()));
        let sql = "select next from tranship_numbers where entity = $1 and field = $2";
        if session.row(sql, name().into()).await?.is_none() {
            // Who else begins the sequence at the same time waits here for the first, and takes what that one wrote.
            let begin = Value::Int(self.largest(session).await?.saturating_add(1).max(least));
            let sql = "insert into tranship_numbers (entity, field, next) values ($1, $2, $3) on conflict do nothing";
            session
                .execute(sql, name().into_iter().chain([begin]).collect())
                .await?;
        }
        // A `start` that was raised since counts too.
        let sql = "update tranship_numbers set next = (case when next < $3 then $3 else next end) + $4 \
             where entity = $1 and field = $2 returning next";
        let more = [least, needed].map(Value::Int);
        let row = session.row(sql, name().into_iter().chain(more).collect()).await?;
        Ok(row.ok_or(sqlx::Error::RowNotFound)?.int(0)? - needed - 1)
    }

    /// The largest number of this form that the target has; 0 without any.
    async fn largest(&self, session: &mut Session) -> Result<i64, Fault> {
        let format = &self.number.format;
        let values = match self.field.kind {
            FieldType::String => [&format.before, &format.after]
                .map(|text| Value::Text(text.clone()))
                .into(),
            _ => Vec::new(),
        };
        let row = session.row(self.largest.clone(), values).await?;
        Ok(match row {
            Some(row) => row.opt_int(0)?.unwrap_or(0),
            None => 0,
        })
    }

    /// What staging takes and the field does not would be refused record by record, for ever.
    fn check_room(&self, last: i64) -> Result<(), Fault> {
        let text = self.number.format.text(last);
        let too_long = self
            .field
            .max_length
            .is_some_and(|most| text.chars().count() > most as usize);
        let most = self.field.max.as_ref().and_then(|most| most.parse::<i64>().ok());
        if too_long || most.is_some_and(|most| last > most) {
            let detail = format!(
                "entity `{}`: the numbers of field `{}` have come to {text}, which the field has no room for: raise its limit",
                self.entity, self.field.name
            );
            return Err(BusinessError::Definition(detail).into());
        }
        Ok(())
    }
}

/// Of a text, what stands between `$1` and `$2` and has nothing but digits: leading zeros do not count, so the longest is the
/// largest.
fn largest(kind: &FieldType, table: &str, column: &str) -> String {
    if *kind != FieldType::String {
        return format!("select max(t.{column}) from {table} t");
    }
    let around = "length(cast($1 as text)) + length(cast($2 as text))";
    format!(
        "select cast(d.digits as bigint) from ( \
           select ltrim(n.number, '0') as digits from ( \
             select substr(t.{column}, length(cast($1 as text)) + 1, \
               case when length(t.{column}) > {around} then length(t.{column}) - ({around}) else 0 end) as number \
             from {table} t where substr(t.{column}, 1, length(cast($1 as text))) = cast($1 as text) \
               and substr(t.{column}, length(t.{column}) - length(cast($2 as text)) + 1) = cast($2 as text)) n \
           where n.number <> '' and ltrim(n.number, '0123456789') = '') d \
         where length(d.digits) between 1 and {DIGITS_MAX} order by length(d.digits) desc, d.digits desc limit 1"
    )
}
