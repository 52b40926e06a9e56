//! `/console/entities`: what may be imported and exported; and one entity: its fields, its tables, its jobs, what it got lately.

use actix_web::{HttpRequest, HttpResponse, web};
use maud::{Markup, html};

use super::jobs::job_link;
use super::messages::rows as message_rows;
use crate::console::frame::{Page, Place};
use crate::console::parts::{empty, facts, none, number, table};
use crate::console::same::{Same, encoded};
use crate::console::visit::{Visit, show as answer};
use crate::domain::entity::{Entity, Field, FieldType};
use crate::domain::job::{Direction, Job};
use crate::http::Api;
use crate::http::entities::{jobs_of, type_of, visible_composites, visible_entities, visible_entity};
use crate::http::problem::Problem;
use crate::storage::lately::Lately;

/// Messages shown with an entity.
const LOADS_MAX: u32 = 10;

/// `GET /console/entities`.
pub(in crate::console) async fn list(api: web::Data<Api>, request: HttpRequest) -> HttpResponse {
    answer(&api, &request, async |visit| Ok(all(visit))).await
}

/// `GET /console/entities/{name}`.
pub(in crate::console) async fn show(
    api: web::Data<Api>,
    request: HttpRequest,
    name: web::Path<String>,
) -> HttpResponse {
    answer(&api, &request, async |visit| one(visit, &name).await).await
}

fn at(name: &str) -> String {
    format!("/console/entities/{}", encoded(name))
}

fn all(visit: &Visit<'_>) -> Page {
    let entities: Vec<&Entity> = visible_entities(&visit.definitions, &visit.caller).collect();
    let rows = html! { @for entity in &entities { (row(visit, entity)) } };
    let heads = ["Entity", "Table", "Key", "#Fields", "Jobs"];
    let body = html! {
        h1 { "Entities" }
        @if entities.is_empty() {
            (empty("There is no entity you may see.", &html! { code { "tranship init FILE" } " makes one from a sample, "
                code { "tranship entities add" } " from a table. A client sees those of the jobs that list it." }))
        } @else { (table("Entities, by name", &heads, &rows)) }
        (composites(visit))
    };
    let same = Same::get("/api/v1/entities").command(&["entities", "list"]);
    Page::new(Place::Entities, "Entities", body, same)
}

fn row(visit: &Visit<'_>, entity: &Entity) -> Markup {
    html! {
        tr {
            td { a href=(at(&entity.name)) { (entity.label) } @if entity.name != entity.label { br; span.faint { (entity.name) } } }
            td { (entity.database) "." (entity.table) }
            td.text { (entity.key.join(", ")) }
            td.number { (number(entity.fields.len() as u64)) }
            td.text { (job_links(visit, &jobs_of(&visit.definitions, &visit.caller, entity))) }
        }
    }
}

fn job_links(visit: &Visit<'_>, jobs: &[&Job]) -> Markup {
    html! {
        @if jobs.is_empty() { (none()) }
        @for (at, job) in jobs.iter().enumerate() { @if at > 0 { ", " } (job_link(visit, job.id)) }
    }
}

fn composites(visit: &Visit<'_>) -> Markup {
    let composites: Vec<_> = visible_composites(&visit.definitions, &visit.caller).collect();
    let label = |name: &str| visit.definitions.label(name).unwrap_or(name).to_owned();
    html! {
        @if !composites.is_empty() {
            section aria-labelledby="composites" {
                h2 #composites { "Composite entities" }
                ul { @for composite in &composites {
                    li { (composite.label) ": "
                        @for (n, name) in visit.definitions.single(&composite.name).into_iter().enumerate() {
                            @if n > 0 { ", " } a href=(at(name)) { (label(name)) } } }
                } }
            }
        }
    }
}

async fn one(visit: &Visit<'_>, name: &str) -> Result<Page, Problem> {
    let entity = visible_entity(&visit.definitions, &visit.caller, name)?;
    let jobs = jobs_of(&visit.definitions, &visit.caller, entity);
    let rows = html! { @for field in &entity.fields { (field_row(visit, entity, field)) } };
    let heads = ["Field", "Type", "", "What a value must be", "Refers to"];
    let body = html! {
        h1 { (entity.label) }
        (facts([
            ("Name", Some(html! { (entity.name) })),
            ("Table", Some(html! { (entity.database) "." (entity.table) })),
            ("Staging table", Some(html! { (entity.staging_table()) })),
            ("Key", Some(html! { (entity.key.join(", ")) })),
            ("Company", entity.company_field.as_ref().map(|field| html! { "in the field " (field) })),
            ("Jobs", Some(job_links(visit, &jobs))),
        ]))
        section aria-labelledby="fields" {
            h2 #fields { "Fields" }
            (table("Fields, in their order", &heads, &rows))
        }
        (loads(visit, entity, &jobs).await?)
    };
    let path = format!("/api/v1/entities/{}", encoded(&entity.name));
    let same = Same::get(path).command(&["entities", "show", &entity.name]);
    Ok(Page::new(Place::Entities, entity.label.clone(), body, same))
}

fn field_row(visit: &Visit<'_>, entity: &Entity, field: &Field) -> Markup {
    let is_key = entity.is_key(&field.name);
    html! {
        tr {
            td { (field.name) }
            td { (type_of(&field.kind)) }
            td { @if is_key { "key" } @if is_key && field.required { ", " } @if field.required { "required" } }
            td.text { (bounds(field)) }
            td {
                @if let Some(parent) = &field.references {
                    a href=(at(&parent.entity)) { (visit.definitions.label(&parent.entity).unwrap_or(&parent.entity)) } "." (parent.field)
                } @else { (none()) }
            }
        }
    }
}

/// What a definition says of a field's values.
fn bounds(field: &Field) -> Markup {
    let mut said = Vec::new();
    if let Some(most) = field.max_length {
        said.push(format!("at most {most} characters"));
    }
    if let Some(min) = &field.min {
        said.push(format!("from {min}"));
    }
    if let Some(max) = &field.max {
        said.push(format!("up to {max}"));
    }
    if !field.formats.is_empty() {
        said.push(field.formats.join(" or "));
    }
    if let FieldType::Enum(values) = &field.kind {
        said.push(format!("one of {}", values.join(", ")));
    }
    if said.is_empty() {
        none()
    } else {
        html! { (said.join("; ")) }
    }
}

/// The latest messages of the jobs that load it.
async fn loads(visit: &Visit<'_>, entity: &Entity, jobs: &[&Job]) -> Result<Markup, Problem> {
    let imports = jobs.iter().filter(|job| job.direction == Direction::Import);
    let imports: Vec<_> = imports.map(|job| job.id).collect();
    if imports.is_empty() {
        return Ok(html! {});
    }
    let store = &visit.api.context.store;
    let wanted = Lately {
        jobs: imports,
        limit: LOADS_MAX,
        ..Lately::default()
    };
    let mut messages = store.messages_by_id(&store.lately(&wanted).await?).await?;
    messages.reverse();
    Ok(html! {
        section aria-labelledby="loads" {
            h2 #loads { "Recent loads" }
            @if messages.is_empty() {
                (empty("Nothing was sent to its jobs yet.", &html! { code { "tranship push FILE --job JOB" } " sends a file." }))
            } @else { (message_rows(visit, &format!("What was sent to the jobs of {}, newest first", entity.label), &messages)) }
        }
    })
}
