//! The actions by which clients tell which version they talk to (PKG-28).

use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::{Value, json};

use super::path::Path;
use super::{NAMESPACE, answer, entities, respond};
use crate::http::Api;
use crate::http::auth::{caller, link_base};
use crate::http::problem::no_such_route;

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// `POST /data/{set}/Microsoft.Dynamics.DataEntities.{Action}` of sets beside the projects.
pub(super) async fn action(api: web::Data<Api>, request: HttpRequest, path: &Path) -> HttpResponse {
    let Some(name) = path.rest.strip_prefix(NAMESPACE) else {
        return no_such_route(request).await;
    };
    let is = |set: &str| path.set.eq_ignore_ascii_case(set) && path.key.is_none();
    let (value, of) = match name {
        "GetApplicationVersion" | "GetApplicationBuildVersion" | "GetPlatformBuildVersion"
            if is(entities::ENTITIES.set) =>
        {
            (Value::from(VERSION), "Edm.String")
        }
        "GetInstalledModules" if is(entities::NOTIFICATIONS.set) => (json!([module()]), "Collection(Edm.String)"),
        _ => return no_such_route(request).await,
    };
    let answered = async {
        caller(&api, &request).await?;
        let context = format!("{}/data/$metadata#{of}", link_base(&api, &request));
        Ok(answer::json(&json!({ "@odata.context": context, "value": value })))
    };
    respond(answered.await)
}

/// In the words of the real product.
fn module() -> String {
    format!("Name: Tranship | Version: {VERSION} | Module: Tranship | Publisher: Tranship | DisplayName: Tranship")
}
