//! Recurring Integrations Scheduler, the test of a connection: GEN-3, GEN-4, AUTH-10, AUTH-13.

use super::wire::{Body, Wire};
use super::{adal_token, app};
use crate::app::{Backend, TestApp};

crate::on_both_backends!(a_connection_is_tested_as_the_scheduler_does,);

/// The two calls it makes; it shows the second one's 403 as "not mapped", and 500 as success.
async fn test(app: &TestApp, token: &str) -> (u16, u16) {
    let authorization = format!("Authorization: Bearer {token}");
    let mut statuses = Vec::new();
    for target in ["/", "/api/connector/dequeue/00000000-0000-0000-0000-000000000000"] {
        let first = format!("GET {target} HTTP/1.1");
        let head = [
            first.as_str(),
            authorization.as_str(),
            "Host: erp.example.test",
            "Connection: Keep-Alive",
        ];
        let answer = Wire::open(app).await.send(&head, Body::None).await;
        assert_eq!(answer.header("location"), None, "it does not follow (GEN-4)");
        statuses.push(answer.status);
    }
    (statuses[0], statuses[1])
}

async fn a_connection_is_tested_as_the_scheduler_does(backend: Backend) {
    let app = app(backend).await;
    let secret = app.add_client("mapped", "client").await;
    let token = adal_token(&app, "mapped", &secret).await;
    assert_eq!(test(&app, &token).await, (200, 500));
    // A token that is good, of a client that is not mapped (any more).
    let secret = app.add_client("unmapped", "client").await;
    let token = adal_token(&app, "unmapped", &secret).await;
    let now = app.clock.now();
    assert!(app.context.store.revoke_client("unmapped", now).await.unwrap());
    assert_eq!(test(&app, &token).await, (200, 403));
}
