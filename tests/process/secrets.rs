//! Secrets are written nowhere: a service that logs all there is to log is taken through everything that has to do with one, and then
//! its log, journal, audit log, answers and backup are searched for each of them.

use std::time::Duration;

use reqwest::{Client, Response};
use serde_json::{Value, json};

use crate::on_both_databases;
use crate::service::Service;
use crate::site::{Credentials, Site};
use crate::support::databases::TestDatabase;
use crate::wire::{self, Caller, http};

on_both_databases!(no_secret_is_written_anywhere);

const WEBHOOK: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const HEADER: &str = "destination-secret-8c1f";
const RECEIPT: &str = "the receipt of a lease";
const IN_URL: &str = "secret-in-a-url-77ab";

/// Something nobody may find, and what it is called here.
type Secrets = Vec<(&'static str, String)>;

async fn no_secret_is_written_anywhere(store: TestDatabase) {
    let mut site = Site::on(store).await;
    define(&mut site);
    let (shop, admin) = (site.add_client("shop", "client"), site.add_client("chief", "admin"));
    let mut command = site.serve_command("data");
    command.args(["--sandbox"]).env("RUST_LOG", "trace");
    let service = Service::start(command, &site.data_dir("data")).await;
    let mut secrets = vec![
        ("the secret of a client", shop.secret.clone()),
        ("the secret of an admin", admin.secret.clone()),
        ("the secret of a webhook", WEBHOOK.to_owned()),
        (
            "the secret of a webhook, without its mark",
            WEBHOOK.trim_start_matches("whsec_").to_owned(),
        ),
        ("the secret of a destination", HEADER.to_owned()),
        ("the secret in a URL", IN_URL.to_owned()),
    ];
    let mut answers = String::new();
    tokens(&service, &shop, &mut secrets, &mut answers).await;
    let chief = Caller::new(&service, &admin).await;
    secrets.push(("an access token", chief.token().to_owned()));
    console(&site, &service, &admin, &mut secrets).await;
    links(&service, &chief, &mut secrets).await;
    messages(&service, &chief, &mut secrets).await;
    clients(&chief, &mut secrets).await;
    search(&site, &service, &chief, &secrets, &answers).await;
    assert!(service.stop().await.success());
}

fn define(site: &mut Site) {
    site.set("WEBHOOK_SECRET", WEBHOOK);
    site.set("DESTINATION_SECRET", HEADER);
    for section in ["WEBHOOKS", "DESTINATIONS"] {
        site.set(&format!("TRANSHIP_{section}__ALLOW_PRIVATE"), "true");
        site.set(&format!("TRANSHIP_{section}__ALLOW_HTTP"), "true");
        site.set(&format!("TRANSHIP_{section}__MAX_ATTEMPTS"), "1");
    }
    // Nobody listens there: failures are told more of than what goes well.
    let url = format!("http://127.0.0.1:9/hook?key={IN_URL}");
    site.write(
        "jobs/quay.toml",
        &format!(
            "id = \"00000000-0000-4000-8000-0000000000aa\"\nname = \"Quay\"\ndirection = \"relay\"\nclients = [\"shop\"]\n[webhook]\n\
             url = \"{url}\"\nsecret_env = \"WEBHOOK_SECRET\"\n"
        ),
    );
    site.write(
        "entities/stock.toml",
        "name = \"Stock\"\nlabel = \"Stock on hand\"\ntable = \"stock\"\ncreate_table = true\nkey = [\"item\"]\n[[fields]]\nname = \"item\"\n",
    );
    site.write(
        "jobs/out.toml",
        &format!(
            "id = \"00000000-0000-4000-8000-0000000000bb\"\nname = \"Out\"\ndirection = \"export\"\ndata_source = \"package\"\nclients = [\"shop\"]\n\
             [export]\nformat = \"csv\"\n[[export.entities]]\nentity = \"Stock\"\n[[export.destinations]]\nname = \"erp\"\nkind = \"http\"\n\
             url = \"{url}\"\n[export.destinations.auth]\nkind = \"header\"\nheader = \"X-Api-Key\"\nsecret_env = \"DESTINATION_SECRET\"\n"
        ),
    );
}

/// By every grant there is, right and wrong.
async fn tokens(service: &Service, shop: &Credentials, secrets: &mut Secrets, answers: &mut String) {
    let url = format!("{}/common/oauth2/v2.0/token", service.base);
    let scope = ("scope", service.base.as_str());
    let wrong = "wrong-secret-51d2";
    secrets.push(("a secret that was wrong", wrong.to_owned()));
    for secret in [shop.secret.as_str(), wrong] {
        let client = [
            ("grant_type", "client_credentials"),
            ("client_id", &shop.id),
            ("client_secret", secret),
            scope,
        ];
        let user = [
            ("grant_type", "password"),
            ("client_id", "x"),
            ("username", &shop.id),
            ("password", secret),
            scope,
        ];
        let unknown = [("grant_type", "authorization_code"), ("client_secret", secret), scope];
        let basic = http().post(&url).basic_auth(&shop.id, Some(secret));
        for request in [
            http().post(&url).form(&client),
            http().post(&url).form(&user),
            http().post(&url).form(&unknown),
            basic.form(&[("grant_type", "client_credentials"), scope]),
            // Where it does not belong.
            http().post(&url).json(&json!({ "client_secret": secret })),
        ] {
            let answer: Value = request.send().await.expect("an answer").json().await.expect("JSON");
            match answer["access_token"].as_str() {
                Some(token) => secrets.push(("an access token", token.to_owned())),
                None => answers.push_str(&answer.to_string()),
            }
        }
        let stranger = http().get(format!("{}/api/v1/jobs", service.base)).bearer_auth(secret);
        answers.push_str(&text(stranger.send().await.expect("an answer")).await);
    }
}

async fn text(answer: Response) -> String {
    answer.text().await.expect("a body")
}

/// A sign-in by secret, one by a link, and a wrong one.
async fn console(site: &Site, service: &Service, admin: &Credentials, secrets: &mut Secrets) {
    let url = format!("{}/console/sign-in", service.base);
    let data = format!("--data-dir={}", site.data_dir("data").display());
    let printed = site.run(&["console", &data, "--json"]);
    let link: Value = serde_json::from_slice(&printed.stdout).expect("JSON");
    let link = link["url"].as_str().expect("a link").to_owned();
    secrets.push((
        "a link into the console",
        link.rsplit('/').next().expect("a secret").to_owned(),
    ));
    let by_secret = http()
        .post(&url)
        .form(&[("client", admin.id.as_str()), ("secret", &admin.secret)]);
    let wrong = http()
        .post(&url)
        .form(&[("client", admin.id.as_str()), ("secret", "wrong-secret-51d2")]);
    wrong.send().await.expect("an answer");
    for request in [
        by_secret,
        http().post(&link).header("x-ms-client-request-id", "sign-in"),
    ] {
        let answer = request.send().await.expect("an answer");
        let cookie = answer.headers()["set-cookie"].to_str().expect("text").to_owned();
        let value = cookie.split(['=', ';']).nth(1).expect("a value").to_owned();
        let page = http()
            .get(format!("{}/console", service.base))
            .header("cookie", format!("tranship_console={value}"));
        let page = text(page.send().await.expect("an answer")).await;
        let token = page
            .split("name=\"form_token\" value=\"")
            .nth(1)
            .and_then(|rest| rest.split('"').next());
        secrets.push(("the token of a session's forms", token.expect("a form").to_owned()));
        secrets.push(("a session", value));
    }
}

/// A blob by a link, and by one that is not good.
async fn links(service: &Service, chief: &Caller, secrets: &mut Secrets) {
    let action = "/data/DataManagementDefinitionGroups/Microsoft.Dynamics.DataEntities.GetAzureWriteUrl";
    let answer: Value = chief
        .post(action, json!({ "uniqueFileName": "a.zip" }).to_string())
        .await
        .json()
        .await
        .expect("JSON");
    let link: Value = serde_json::from_str(answer["value"].as_str().expect("a text")).expect("JSON in it");
    let link = link["BlobUrl"].as_str().expect("a link").to_owned();
    let signature = link
        .split("sig=")
        .nth(1)
        .and_then(|rest| rest.split('&').next())
        .expect("a signature")
        .to_owned();
    let plain: String = url::form_urlencoded::parse(format!("s={signature}").as_bytes())
        .map(|(_, value)| value.into_owned())
        .collect();
    secrets.extend([
        ("the signature of a link", signature),
        ("the signature of a link, unescaped", plain),
    ]);
    let put = |link: &str| {
        Client::put(&http(), link)
            .header("x-ms-blob-type", "BlockBlob")
            .body("zip")
            .send()
    };
    assert_eq!(put(&link).await.expect("an answer").status(), 201);
    assert_eq!(
        put(&link.replace("a.zip", "b.zip")).await.expect("an answer").status(),
        403
    );
    let import = json!({ "packageUrl": link, "definitionGroupId": "x", "executionId": "", "execute": true, "overwrite": true, "legalEntityId": "" });
    let action = action.replace("GetAzureWriteUrl", "ImportFromPackage");
    chief.post(&action, import.to_string()).await;
    let _ = service;
}

/// A message that ends and is told of, and an export that is brought somewhere.
async fn messages(service: &Service, chief: &Caller, secrets: &mut Secrets) {
    let id = chief.push("Quay", "x", b"bytes".to_vec()).await;
    let leases: Value = chief
        .post("/api/v1/jobs/Quay/leases", "{}")
        .await
        .json()
        .await
        .expect("JSON");
    let receipt = leases["leases"][0]["receipt"].as_str().expect("a receipt");
    let in_path = wire::in_path(receipt);
    let ack = http().post(format!("{}/api/v1/leases/{in_path}/ack", service.base));
    let named = ack.bearer_auth(chief.token()).header("x-ms-client-request-id", "ack");
    assert!(named.send().await.expect("an answer").status().is_success());
    secrets.extend([(RECEIPT, receipt.to_owned()), (RECEIPT, in_path)]);
    chief.ended(&id).await;
    chief.post("/api/v1/jobs/Out/run", "").await;
    let gave_up = |listed: &Value| {
        listed["deliveries"][0]["state"]
            .as_str()
            .is_some_and(|state| state != "pending")
    };
    for path in ["/api/v1/webhooks", "/api/v1/jobs/Out/deliveries"] {
        for round in 0.. {
            let listed: Value = chief.get(path).await.json().await.expect("JSON");
            if gave_up(&listed) {
                break;
            }
            assert!(round < 600, "{listed:#}\n{}", service.log());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// A client that is added and gets another secret.
async fn clients(chief: &Caller, secrets: &mut Secrets) {
    for (path, body) in [
        ("/api/v1/clients", json!({ "name": "new" })),
        ("/api/v1/clients/new/rotate", json!({})),
    ] {
        let answer: Value = chief.post(path, body.to_string()).await.json().await.expect("JSON");
        secrets.push((
            "the secret of a new client",
            answer["client_secret"].as_str().expect("a secret").to_owned(),
        ));
    }
}

async fn search(site: &Site, service: &Service, chief: &Caller, secrets: &Secrets, answers: &str) {
    let journal = text(chief.get("/api/v1/sandbox/journal.har").await).await;
    let audit = text(chief.get("/api/v1/audit?limit=500").await).await;
    let backup = site.path("backup");
    site.run(&[
        "backup",
        &backup.display().to_string(),
        &format!("--data-dir={}", site.data_dir("data").display()),
    ]);
    let manifest = std::fs::read_to_string(backup.join("backup.json")).expect("a manifest");
    let log = service.log();
    for (what, text, word) in [
        ("log", &log, "TRACE"),
        ("journal", &journal, "/oauth2/v2.0/token"),
        ("audit log", &audit, "console.sign_in"),
        ("manifest of the backup", &manifest, "{"),
        ("answers", &answers.to_owned(), "AADSTS"),
    ] {
        assert!(text.contains(word), "the {what} is another than expected: {text:.2000}");
        for (secret, value) in secrets {
            assert!(value.len() > 8, "{secret}: {value}");
            // Whoever had the message has it, and so has the journal of a sandbox.
            if *secret == RECEIPT && what == "journal" {
                continue;
            }
            // What a receiver's own URL holds is the operator's to see, not the log's.
            let found = text.find(value.as_str());
            let around = found.map(|at| {
                String::from_utf8_lossy(&text.as_bytes()[at.saturating_sub(300)..(at + 40).min(text.len())])
                    .into_owned()
            });
            assert_eq!(around, None, "{secret} stands in the {what}");
        }
    }
}
