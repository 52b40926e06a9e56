//! Counts and times requests, by the route they took: as it is registered, so that there are as many series as routes.

use std::time::Instant;

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::{Method, StatusCode};
use actix_web::middleware::Next;
use actix_web::{Error, web};
use metrics::counter;

use super::Api;
use super::envelope::traceparent;
use crate::telemetry::exemplars;

/// Of paths that are no route.
const NO_ROUTE: &str = "none";
/// A method that is none of the usual, or not one of its route.
const OTHER: &str = "other";

/// Measures a request until its answer begins.
///
/// # Errors
/// Those of the request's handler.
pub async fn measure(
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let began = Instant::now();
    let method = method(request.method());
    let answered = next.call(request).await;
    if let Ok(answer) = &answered {
        let route = answer.request().match_pattern().unwrap_or_else(|| NO_ROUTE.to_owned());
        // Of methods that a route does not have anybody may try any: they are no series of their own.
        let method = if answer.status() == StatusCode::METHOD_NOT_ALLOWED {
            OTHER
        } else {
            method
        };
        let status = match answer.status().as_u16() / 100 {
            1 => "1xx",
            2 => "2xx",
            3 => "3xx",
            4 => "4xx",
            _ => "5xx",
        };
        counter!("tranship_http_requests_total", "method" => method, "route" => route.clone(), "status" => status)
            .increment(1);
        let labels = [("method", method), ("route", route.as_str())];
        let trace = traceparent(answer.request());
        let example = trace.zip(answer.request().app_data::<web::Data<Api>>());
        let example = example.map(|(trace, api)| (trace, api.context.clock.now()));
        exemplars::record(
            "tranship_http_request_seconds",
            &labels,
            began.elapsed().as_secs_f64(),
            example,
        );
    }
    answered
}

/// A method, or that it is none of the usual.
fn method(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => OTHER,
    }
}
