//! A service with something behind every route, and requests that name it.

use std::fmt::Write as _;

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use tranship::domain::ids::{CorrelationId, MessageId};
use tranship::domain::message::Fence;

use crate::app::{Backend, TestApp};
use crate::client::{relay, text};
use crate::destinations::{STOCK, service};
use crate::support::databases::rows;
use crate::webhooks;
use crate::webhooks::receiver::Receiver;

/// Jobs of the client `shop` and of nobody else.
const QUEUE: &str = "Quay";
const IMPORT: &str = "Told customers";
const EXPORT: &str = "Stock out";

/// The ids of what belongs to `shop`.
pub struct World {
    pub app: TestApp,
    import: String,
    execution: String,
    /// A message that waits.
    waiting: String,
    receipt: String,
    /// Of the same message as the receipt.
    correlation: String,
    webhook: String,
    brought: String,
}

impl World {
    pub async fn new(backend: Backend, receiver: &Receiver, is_sandbox: bool) -> Self {
        let app = TestApp::with(backend, |setup| {
            relay(setup, QUEUE, "");
            setup.file(
                "jobs/elsewhere.toml",
                "id = \"00000000-0000-4000-8000-0000000000ee\"\nname = \"Elsewhere\"\ndirection = \"relay\"\nclients = [\"other\"]\n",
            );
            webhooks::job(setup, &format!("url = \"{}\"", receiver.url("/hook")));
            setup.file("entities/stock.toml", STOCK);
            let erp = service("erp", receiver, "");
            setup.file(
                "jobs/stock-out.toml",
                &format!(
                    "id = \"00000000-0000-4000-8000-00000000dd01\"\nname = \"{EXPORT}\"\ndirection = \"export\"\ndata_source = \"file\"\n\
                     clients = [\"shop\"]\n[schedule]\ncron = \"0 2 * * *\"\n[export]\nformat = \"csv\"\n[[export.entities]]\n\
                     entity = \"Stock\"\nrefresh = \"incremental\"\n{erp}\n"
                ),
            );
            setup.set("destinations.allow_private", "true");
            setup.set("destinations.allow_http", "true");
            setup.set("sandbox.enabled", if is_sandbox { "true" } else { "false" });
        })
        .await;
        Self::fill(app).await
    }

    async fn fill(app: TestApp) -> Self {
        app.stock_up("insert into stock (item, quantity) values ('a', 1)").await;
        app.export().await;
        app.bring().await;
        let import = app
            .enqueue(IMPORT, "Customers", "CustomerID,CompanyName\r\nAAAAA,One\r\nBBBBB,\r\n")
            .await;
        app.run_until_idle().await;
        let leased: MessageId = app.put(QUEUE, "", "leased").await.parse().expect("an id");
        let correlation = CorrelationId::of(leased).to_string();
        let receipt = text(&app.lease_one(QUEUE).await, "receipt");
        let waiting = app.put(QUEUE, "", "waiting").await;
        let execution = text(&app.message(&import).await["executions"][0], "id");
        let webhook = text(&app.body("/api/v1/webhooks").await["deliveries"][0], "id");
        let brought = &app.body(&format!("/api/v1/jobs/{}/deliveries", app.job(EXPORT))).await["deliveries"][0];
        let brought = brought["id"].to_string().trim_matches('"').to_owned();
        Self {
            app,
            import,
            execution,
            waiting,
            receipt,
            correlation,
            webhook,
            brought,
        }
    }

    /// What belongs to `shop`, in the places of a route's path.
    pub fn own(&self, route: &str) -> Target {
        let part = |parts: [&str; 2]| parts.iter().any(|part| route.contains(part));
        let job = if part(["/positions", "/rewind"])
            || part(["/next", "/backfill"])
            || part(["/deliveries", "/run"])
            || part(["/pause", "/resume"])
        {
            EXPORT
        } else if part(["/webhook/", "/jobstatus/"]) {
            IMPORT
        } else {
            QUEUE
        };
        let id = match route {
            route if route.contains("/executions/") => &self.execution,
            route if route.contains("/webhooks/") => &self.webhook,
            route if route.contains("/deliveries/{id}") => &self.brought,
            route if route.contains("/cancel") => &self.waiting,
            _ => &self.import,
        };
        Target {
            job: self.app.job(job),
            id: id.clone(),
            receipt: self.receipt.clone(),
            correlation: self.correlation.clone(),
            name: if route.contains("{path:.*}") {
                IMPORT
            } else {
                "Customers"
            }
            .to_owned(),
        }
    }

    /// The same of what nobody has.
    pub fn absent(&self, route: &str) -> Target {
        let message = MessageId::generate();
        Target {
            id: if route.contains("/deliveries/{id}") {
                "999999".to_owned()
            } else {
                message.to_string()
            },
            receipt: self.app.api.signers().receipts.issue(Fence { message, epoch: 1 }),
            correlation: CorrelationId::of(message).to_string(),
            name: "Nothing of the kind".to_owned(),
            ..self.own(route)
        }
    }

    /// A request on a route.
    pub fn request(&self, route: &str, target: &Target, caller: &str) -> RequestBuilder {
        let (method, path) = route.split_once(' ').expect("a method and a path");
        let method: Method = if method == "ANY" {
            Method::PUT
        } else {
            method.parse().expect("a method")
        };
        let request = self.app.request(method.clone(), &target.path(&method, path));
        match body(path, target, caller) {
            _ if method == Method::PATCH || method == Method::PUT => request.json(&json!({ "Description": "x" })),
            Some(body) if method == Method::POST => request.json(&body),
            _ => request,
        }
    }

    /// The whole store as text, a line each row, but for what moves by itself.
    pub async fn kept(&self) -> String {
        let url = &self.app.store.url;
        let is_sqlite = url.starts_with("sqlite");
        let tables = if is_sqlite {
            "select name from sqlite_master where type = 'table' and name not like 'sqlite_%' order by 1"
        } else {
            "select cast(table_name as text) from information_schema.tables where table_schema = current_schema() order by 1"
        };
        let mut out = String::new();
        for table in rows(url, tables).await.into_iter().flatten().flatten() {
            if table == "processes" {
                continue;
            }
            // When a client was last let in is written down every ten seconds.
            let line = if is_sqlite {
                let columns = format!(
                    "select 'quote(\"' || name || '\")' from pragma_table_info('{table}') where name <> 'last_used_at'"
                );
                let columns: Vec<String> = rows(url, &columns).await.into_iter().flatten().flatten().collect();
                columns.join(" || '|' || ")
            } else {
                "cast(to_jsonb(t) - 'last_used_at' as text)".to_owned()
            };
            for row in rows(url, &format!("select {line} from {table} t order by 1")).await {
                let _ = writeln!(out, "{table}: {}", row[0].as_deref().unwrap_or_default());
            }
        }
        out
    }
}

/// What a request names.
#[derive(Debug, Clone)]
pub struct Target {
    pub job: String,
    pub id: String,
    pub receipt: String,
    pub correlation: String,
    pub name: String,
}

impl Target {
    fn path(&self, method: &Method, template: &str) -> String {
        let receipt: String = url::form_urlencoded::byte_serialize(self.receipt.as_bytes()).collect();
        let name = if template.contains("/clients/") {
            "victim"
        } else {
            &self.name
        };
        let path = template
            .replace("{job}", &self.job)
            .replace("{activity}", &self.job)
            .replace("{id}", &self.id)
            .replace("{receipt}", &receipt)
            .replace(
                "{action}",
                if template.contains("/leases/") {
                    "extend"
                } else {
                    "Microsoft.Dynamics.DataEntities.GetExecutionErrors"
                },
            )
            .replace("{tenant}", "common")
            .replace("{user}", "a@b.test")
            .replace("{number}", "1")
            .replace("{name:.*}", "packages/x")
            .replace("{path:.*}", &self.below(method, template))
            .replace("{name}", name);
        match template {
            "/api/connector/download/{activity}" => format!("{path}?correlation-id={}", self.correlation),
            "/api/connector/jobstatus/{activity}" => format!("{path}?jobId={}", self.id),
            "/api/connector/enqueue/{activity}" => format!("{path}?entity=x"),
            "/api/v1/jobs/{job}/next" => format!("{path}?limit=1"),
            "/api/v1/messages/{id}/error-keys" => format!("{path}?entity=Customers"),
            _ => path,
        }
    }

    /// A place under `/data` or `/metadata`.
    fn below(&self, method: &Method, template: &str) -> String {
        match (template, method.as_str()) {
            ("/data/{path:.*}", "GET") => "DataManagementExecutionJobs".to_owned(),
            ("/data/{path:.*}", "POST") => "DataManagementDefinitionGroupDetails".to_owned(),
            ("/data/{path:.*}", _) => format!("DataManagementDefinitionGroups('{}')", self.name),
            _ => "DataEntities".to_owned(),
        }
    }

    /// An answer to a request about this, without its ids.
    pub fn unnamed(&self, answer: &str) -> String {
        let mut answer = answer.to_owned();
        for id in [&self.id, &self.receipt, &self.correlation, &self.name] {
            answer = answer.replace(id.as_str(), "…");
        }
        answer
    }
}

fn body(path: &str, target: &Target, caller: &str) -> Option<Value> {
    Some(match path {
        "/data/datamanagementdefinitiongroups/{action}" => json!({ "executionId": target.id }),
        "/data/{path:.*}" => json!({ "DefinitionGroupId": target.name, "EntityName": "Customers" }),
        "/api/connector/ack/{activity}" => json!({ "CorrelationId": target.correlation, "PopReceipt": target.receipt }),
        "/api/v1/jobs/{job}/messages/batch" => json!({ "messages": [{ "text": "x" }] }),
        "/api/v1/jobs/{job}/leases" => json!({ "max": 1 }),
        "/api/v1/jobs/{job}/groups/unblock" => json!({ "key": "x" }),
        "/api/v1/leases/batch" => json!({ "items": [{ "receipt": target.receipt, "action": "extend" }] }),
        "/api/v1/jobs/{job}/rewind" => json!({ "full": true }),
        "/api/v1/jobs/{job}/backfill" => json!({ "from": "2026-01-01T00:00:00Z", "to": "2026-01-02T00:00:00Z" }),
        "/api/v1/messages/bulk" => json!({ "action": "retry", "ids": [target.id], "dry_run": true }),
        "/api/v1/clients" => json!({ "name": format!("new-{caller}") }),
        "/api/v1/clients/{name}/role" => json!({ "role": "viewer" }),
        "/api/v1/sandbox/faults" => {
            json!({ "name": format!("f-{caller}"), "kind": "answer", "status": 503, "path": "/api/v1/none" })
        }
        "/api/v1/sandbox/clock" => json!({ "advance_seconds": 1 }),
        "/api/v1/sandbox/reset" => return None,
        _ => json!({}),
    })
}

/// The status of an answer and its text.
pub async fn answered(request: RequestBuilder) -> (u16, String) {
    let answer = request.send().await.expect("an answer");
    let status = answer.status().as_u16();
    let kind = answer.headers().get("content-type").and_then(|kind| kind.to_str().ok());
    // A stream has no end.
    if kind.is_some_and(|kind| kind.starts_with("text/event-stream")) {
        return (status, String::new());
    }
    (status, answer.text().await.unwrap_or_default())
}
