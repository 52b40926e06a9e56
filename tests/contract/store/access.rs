//! Clients and signing keys.

use super::*;
use tranship::storage::clients::Client;

crate::on_both_databases!(
    a_client_is_found_and_unique_in_any_case,
    a_revoked_client_stays_revoked,
    the_first_client_is_added_once_and_never_beside_another,
    processes_that_start_together_agree_on_the_keys,
    the_first_fact_of_a_name_stands,
);

fn client(name: &str) -> Client {
    Client {
        name: name.into(),
        secret_hash: "$argon2id$1".into(),
        role: "client".into(),
        created_at: START,
        revoked_at: None,
        last_used_at: None,
    }
}

async fn a_client_is_found_and_unique_in_any_case(database: TestDatabase) {
    let store = open(&database).await;
    store.add_client(&client("Straße-Ärger")).await.unwrap();
    store.add_client(&client("b")).await.unwrap();
    store.add_client(&client("A")).await.unwrap();
    assert_eq!(
        store.client("STRAßE-ÄRGER").await.unwrap(),
        Some(client("Straße-Ärger"))
    );
    assert_eq!(store.client("nobody").await.unwrap(), None);
    let taken = store.add_client(&client("straße-ärger")).await;
    assert!(matches!(taken, Err(StoreError::Exists { .. })), "{taken:?}");
    let names: Vec<String> = store.clients().await.unwrap().into_iter().map(|c| c.name).collect();
    assert_eq!(names, ["A", "b", "Straße-Ärger"]);
}

async fn a_revoked_client_stays_revoked(database: TestDatabase) {
    let store = open(&database).await;
    store.add_client(&client("shop")).await.unwrap();
    assert!(store.set_client_secret("SHOP", "$argon2id$2").await.unwrap());
    assert_eq!(store.client("shop").await.unwrap().unwrap().secret_hash, "$argon2id$2");
    assert!(store.revoke_client("Shop", at(1)).await.unwrap());
    assert!(!store.revoke_client("shop", at(2)).await.unwrap());
    assert!(!store.set_client_secret("shop", "$argon2id$3").await.unwrap());
    let revoked = store.client("shop").await.unwrap().unwrap();
    assert_eq!(
        (revoked.secret_hash.as_str(), revoked.revoked_at),
        ("$argon2id$2", Some(at(1)))
    );
    assert!(!store.revoke_client("nobody", at(2)).await.unwrap());
}

async fn the_first_client_is_added_once_and_never_beside_another(database: TestDatabase) {
    let store = open(&database).await;
    let other = second(&database, &store).await;
    let dev = client("dev");
    let (a, b) = tokio::join!(store.add_first_client(&dev), other.add_first_client(&dev));
    assert_eq!(usize::from(a.unwrap()) + usize::from(b.unwrap()), 1);
    store.revoke_client("dev", at(1)).await.unwrap();
    assert!(
        !store.add_first_client(&client("dev2")).await.unwrap(),
        "a revoked client was a client too"
    );
}

async fn processes_that_start_together_agree_on_the_keys(database: TestDatabase) {
    let store = open(&database).await;
    let other = second(&database, &store).await;
    let fresh = |n: u8| [[n; 32], [n + 1; 32], [n + 2; 32]];
    let (a, b) = tokio::join!(
        store.signing_keys(fresh(10), START),
        other.signing_keys(fresh(20), START)
    );
    let (a, b) = (a.unwrap(), b.unwrap());
    assert_eq!((&a.token, &a.receipt, &a.url), (&b.token, &b.receipt, &b.url));
    assert_eq!((a.token.len(), a.receipt.len(), a.url.len()), (1, 1, 1));
    let first = a.token[0][0];
    assert!(first == 10 || first == 20);
    assert_eq!(
        (a.token[0].len(), a.receipt[0][0], a.url[0][0]),
        (32, first + 1, first + 2)
    );
    assert_eq!(store.signing_keys(fresh(30), at(1)).await.unwrap().token, a.token);
}

async fn the_first_fact_of_a_name_stands(database: TestDatabase) {
    let store = open(&database).await;
    let other = second(&database, &store).await;
    let (one, two) = tokio::join!(store.remember("folder", "one"), other.remember("folder", "two"));
    let standing = one.unwrap();
    assert_eq!(two.unwrap(), standing);
    assert_eq!(other.remember("folder", "three").await.unwrap(), standing);
    assert_eq!(store.remember("another", "three").await.unwrap(), "three");
}
