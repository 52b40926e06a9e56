//! `/api/v1/entities`: what may be imported and exported, and which jobs do.

use actix_web::web::{self, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use serde_json::{Value, json};

use super::auth::{Caller, caller};
use super::odata::catalogue::{Listed, entities_of, visible};
use super::problem::{Kind, Problem, Surface};
use super::{Api, at};
use crate::definitions::Definitions;
use crate::domain::composite::Composite;
use crate::domain::entity::{Entity, Field, FieldType};
use crate::domain::job::Job;

/// The routes.
pub(super) fn routes(service: &mut ServiceConfig) {
    service
        .service(at("/api/v1/entities", web::get().to(list)))
        .service(at("/api/v1/entities/{name}", web::get().to(show)));
}

fn respond(result: Result<HttpResponse, Problem>) -> HttpResponse {
    result.unwrap_or_else(|problem| problem.respond(Surface::Native))
}

/// `GET /api/v1/entities`: those of jobs the caller may see, by name.
pub async fn list(api: web::Data<Api>, request: HttpRequest) -> HttpResponse {
    let listed = async {
        let caller = caller(&api, &request).await?;
        let definitions = api.definitions();
        let entities: Vec<Value> = visible_entities(&definitions, &caller)
            .map(|entity| outline(&definitions, &caller, entity))
            .collect();
        let composites: Vec<Value> = visible_composites(&definitions, &caller)
            .map(|composite| {
                json!({
                    "composite": composite.name,
                    "label": composite.label,
                    "entities": definitions.single(&composite.name),
                })
            })
            .collect();
        Ok(HttpResponse::Ok().json(json!({ "entities": entities, "composites": composites })))
    };
    respond(listed.await)
}

/// `GET /api/v1/entities/{name}`, by name or label: with its fields.
pub async fn show(api: web::Data<Api>, request: HttpRequest, name: web::Path<String>) -> HttpResponse {
    let shown = async {
        let caller = caller(&api, &request).await?;
        let definitions = api.definitions();
        let entity = visible_entity(&definitions, &caller, &name)?;
        let mut body = outline(&definitions, &caller, entity);
        body["fields"] = entity.fields.iter().map(|field| as_json(entity, field)).collect();
        Ok(HttpResponse::Ok().json(body))
    };
    respond(shown.await)
}

/// The entities a caller sees, by name.
pub(crate) fn visible_entities<'d>(definitions: &'d Definitions, caller: &Caller) -> impl Iterator<Item = &'d Entity> {
    visible(definitions, caller)
        .into_iter()
        .filter_map(|listed| match listed {
            Listed::Entity(entity) => Some(entity),
            Listed::Composite(_) => None,
        })
}

/// The composite entities a caller sees, by name.
pub(crate) fn visible_composites<'d>(
    definitions: &'d Definitions,
    caller: &Caller,
) -> impl Iterator<Item = &'d Composite> {
    visible(definitions, caller)
        .into_iter()
        .filter_map(|listed| match listed {
            Listed::Entity(_) => None,
            Listed::Composite(composite) => Some(composite),
        })
}

/// The entity of this name or label, if the caller sees it.
///
/// # Errors
/// 404.
pub(crate) fn visible_entity<'d>(
    definitions: &'d Definitions,
    caller: &Caller,
    name: &str,
) -> Result<&'d Entity, Problem> {
    let found = visible_entities(definitions, caller).find(|entity| Listed::Entity(entity).is_called(name));
    found.ok_or_else(|| {
        let detail = format!("there is no entity `{name}` that `{}` may see", caller.name);
        Problem::new(Kind::NotFound, detail)
    })
}

/// The jobs that import or export an entity, also as a part of a composite one, and that the caller may see.
pub(crate) fn jobs_of<'d>(definitions: &'d Definitions, caller: &Caller, entity: &Entity) -> Vec<&'d Job> {
    let names = |job: &Job| {
        let named = entities_of(job);
        named
            .into_iter()
            .any(|name| definitions.single(name).contains(&entity.name.as_str()))
    };
    let jobs = definitions.jobs.iter();
    jobs.filter(|job| caller.may_see(job) && names(job)).collect()
}

fn outline(definitions: &Definitions, caller: &Caller, entity: &Entity) -> Value {
    let jobs = jobs_of(definitions, caller, entity);
    json!({
        "name": entity.name,
        "label": entity.label,
        "collection": entity.collection,
        "database": entity.database,
        "table": entity.table,
        "staging_table": entity.staging_table(),
        "key": entity.key,
        "company_field": entity.company_field,
        "data_management": entity.data_management,
        "jobs": jobs.iter().map(|job| job.name.as_str()).collect::<Vec<_>>(),
    })
}

fn as_json(entity: &Entity, field: &Field) -> Value {
    json!({
        "name": field.name,
        "type": type_of(&field.kind),
        "key": entity.is_key(&field.name),
        "required": field.required,
        "max_length": field.max_length,
        "min": field.min,
        "max": field.max,
        "values": match &field.kind {
            FieldType::Enum(values) => Some(values),
            _ => None,
        },
        "references": field.references.as_ref().map(|parent| json!({ "entity": parent.entity, "field": parent.field })),
    })
}

/// A field's type as people write it.
#[must_use]
pub fn type_of(kind: &FieldType) -> String {
    match kind {
        FieldType::Decimal {
            precision,
            scale: Some(scale),
        } => format!("decimal({precision},{scale})"),
        FieldType::Decimal { precision, scale: None } => format!("decimal({precision})"),
        other => other.name().to_owned(),
    }
}
