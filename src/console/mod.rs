//! The operator's web console: pages at `/console`, rendered here, readable without scripts.
//!
//! Owns: pages, their frame, sessions, what browsers are told to refuse. Refuses: rules of its own. Who may see or use what, and
//! what an action does, is decided by the functions behind `/api/v1`.

mod actions;
mod answer;
mod api_docs;
mod assets;
mod bidi;
mod cookie;
mod form;
mod frame;
pub mod link;
mod pages;
mod parts;
mod prose;
mod same;
mod session;
mod sign_in;
mod visit;

use actix_web::web::{self, ServiceConfig};
use actix_web::{Resource, Route};

use crate::http::problem::no_such_method;

/// One path with a page to look at, and what its form does where it has one.
fn at(path: &str, routes: impl IntoIterator<Item = Route>) -> Resource {
    let resource = routes.into_iter().fold(web::resource(path), Resource::route);
    resource.default_service(web::to(pages::trouble::no_such_method))
}

/// Every route of the console.
pub fn routes(service: &mut ServiceConfig) {
    let get = || web::get();
    let post = || web::post();
    service
        .service(at("/console", [get().to(pages::overview::show)]))
        .service(
            web::resource("/api/v1/docs")
                .route(get().to(api_docs::show))
                .default_service(web::to(no_such_method)),
        )
        .service(at("/console/assets/{name}", [get().to(assets::send)]))
        .service(at(
            "/console/sign-in",
            [get().to(sign_in::show), post().to(sign_in::by_secret)],
        ))
        .service(at(
            "/console/sign-in/{link}",
            [get().to(sign_in::show_link), post().to(sign_in::by_link)],
        ))
        .service(at("/console/sign-out", [post().to(sign_in::sign_out)]))
        .service(at("/console/theme", [post().to(actions::theme)]))
        .service(at("/console/jobs", [get().to(pages::jobs::show)]))
        .service(at("/console/jobs/{job}", [get().to(pages::job::show)]))
        .service(at(
            "/console/jobs/{job}/run",
            [get().to(actions::job::ask_run), post().to(actions::job::run)],
        ))
        .service(at(
            "/console/jobs/{job}/pause",
            [get().to(actions::job::ask_pause), post().to(actions::job::pause)],
        ))
        .service(at(
            "/console/jobs/{job}/resume",
            [get().to(actions::job::ask_resume), post().to(actions::job::resume)],
        ))
        .service(at("/console/messages", [get().to(pages::messages::show)]))
        .service(
            at(
                "/console/messages/bulk",
                [get().to(pages::bulk::ask), post().to(actions::bulk::act)],
            )
            .app_data(web::PayloadConfig::new(actions::bulk::FORM_BYTES_MAX)),
        )
        .service(at("/console/dead-letters", [get().to(pages::dead_letters::show)]))
        .service(at("/console/messages/{id}", [get().to(pages::message::show)]))
        .service(at(
            "/console/messages/{id}/payload",
            [get().to(pages::payload::download)],
        ))
        .service(at("/console/messages/{id}/preview", [get().to(pages::payload::show)]))
        .service(at(
            "/console/messages/{id}/rejects",
            [get().to(pages::message::rejects)],
        ))
        .service(at(
            "/console/messages/{id}/retry",
            [
                get().to(actions::message::ask_retry),
                post().to(actions::message::retry),
            ],
        ))
        .service(at(
            "/console/messages/{id}/cancel",
            [
                get().to(actions::message::ask_cancel),
                post().to(actions::message::cancel),
            ],
        ))
        .service(
            at(
                "/console/messages/{id}/repair",
                [get().to(pages::repair::show), post().to(actions::repair::send_back)],
            )
            .app_data(web::PayloadConfig::new(pages::repair::FORM_BYTES_MAX)),
        )
        .service(at("/console/executions/{id}", [get().to(pages::execution::show)]))
        .service(at("/console/audit", [get().to(pages::audit::show)]))
        .service(at("/console/audit/verify", [get().to(pages::audit::verify)]))
        .service(at("/console/entities", [get().to(pages::entities::list)]))
        .service(at("/console/entities/{name}", [get().to(pages::entities::show)]))
        .service(at("/console/webhooks", [get().to(pages::webhooks::list)]))
        .service(at("/console/webhooks/{id}", [get().to(pages::webhooks::show)]))
        .service(at(
            "/console/webhooks/{id}/replay",
            [
                get().to(actions::webhook::ask_replay),
                post().to(actions::webhook::replay),
            ],
        ))
        .configure(client_routes)
        .service(web::resource("/console/{rest:.*}").default_service(web::to(pages::trouble::no_such_page)));
}

/// The routes of what admins do about clients.
fn client_routes(service: &mut ServiceConfig) {
    let get = || web::get();
    let post = || web::post();
    service
        .service(at("/console/clients", [get().to(pages::clients::show)]))
        .service(at(
            "/console/clients/add",
            [get().to(actions::client::ask_add), post().to(actions::client::add)],
        ))
        .service(at(
            "/console/clients/rotate",
            [
                get().to(actions::client::ask_rotate),
                post().to(actions::client::rotate),
            ],
        ))
        .service(at(
            "/console/clients/role",
            [get().to(actions::client::ask_role), post().to(actions::client::role)],
        ))
        .service(at(
            "/console/clients/revoke",
            [
                get().to(actions::client::ask_revoke),
                post().to(actions::client::revoke),
            ],
        ));
}
