//! Send a delivery to a webhook once more.

use actix_web::{HttpRequest, HttpResponse, web};
use maud::html;

use super::{Body, asking};
use crate::console::frame::{Page, Place};
use crate::console::same::Same;
use crate::console::visit::{Visit, act, show};
use crate::http::Api;
use crate::http::auth::usable_job_of;
use crate::http::problem::Problem;
use crate::http::webhooks::{replay_delivery, shown_url, visible};
use crate::storage::webhooks::Delivery;

fn at(delivery: &Delivery) -> String {
    format!("/console/webhooks/{}", delivery.id)
}

/// The delivery of this id, of a job the visitor may use.
async fn usable(visit: &Visit<'_>, id: &str) -> Result<Delivery, Problem> {
    let delivery = visible(visit.api, &visit.caller, id).await?;
    usable_job_of(&visit.definitions, &visit.caller, delivery.job)?;
    Ok(delivery)
}

/// `GET /console/webhooks/{id}/replay`.
pub(in crate::console) async fn ask_replay(
    api: web::Data<Api>,
    request: HttpRequest,
    id: web::Path<String>,
) -> HttpResponse {
    show(&api, &request, async |visit| {
        let delivery = usable(visit, &id).await?;
        let inside = html! {
            p { "The same body goes to " (shown_url(&delivery.url)) " once more, under the id its receiver knows, signed anew." }
        };
        let form = asking(visit, &format!("{}/replay", at(&delivery)), &at(&delivery), "Send it once more", &inside);
        let body = html! { h1 { "Send a delivery once more" } (form) };
        let id = delivery.id.to_string();
        let same = Same::post(format!("/api/v1/webhooks/{id}/replay"), None).command(&["webhooks", "replay", &id]);
        Ok(Page::new(Place::Webhooks, "Send a delivery once more", body, same))
    })
    .await
}

/// `POST /console/webhooks/{id}/replay`.
pub(in crate::console) async fn replay(
    api: web::Data<Api>,
    request: HttpRequest,
    id: web::Path<String>,
    body: Body,
) -> HttpResponse {
    act(&api, &request, body, async |visit, _| {
        let delivery = usable(visit, &id).await?;
        let delivery = replay_delivery(visit.api, &visit.caller, &delivery).await?;
        Ok(format!("{}?done=replayed", at(&delivery)))
    })
    .await
}
