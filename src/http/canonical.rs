//! One canonical form for the paths clients send.
//!
//! Doubled slashes are collapsed (GEN-8), `/namespaces/AXSF` and a locale segment before `/api/connector` are dropped
//! (GEN-1, GEN-2), fixed segments are put in lower case (GEN-5); what is data (ids, names) stays as it is.

/// The path the routes know for the path a client sent; `None` when it is canonical already.
#[must_use]
pub fn canonical_path(path: &str) -> Option<String> {
    let mut segments: Vec<&str> = path.split('/').filter(|s| !s.is_empty()).collect();
    if let [first, second, ..] = segments.as_slice()
        && first.eq_ignore_ascii_case("namespaces")
        && second.eq_ignore_ascii_case("axsf")
    {
        segments.drain(..2);
    }
    if let [locale, api, connector, ..] = segments.as_slice()
        && is_locale(locale)
        && api.eq_ignore_ascii_case("api")
        && connector.eq_ignore_ascii_case("connector")
    {
        segments.remove(0);
    }
    let fixed = fixed_segments(&segments);
    let mut out = String::with_capacity(path.len());
    for (position, segment) in segments.iter().enumerate() {
        out.push('/');
        if fixed.contains(&position) {
            out.push_str(&segment.to_ascii_lowercase());
        } else {
            out.push_str(segment);
        }
    }
    if out.is_empty() {
        out.push('/');
    }
    (out != path).then_some(out)
}

/// Positions of the segments that are words of the route, not data.
fn fixed_segments(segments: &[&str]) -> Vec<usize> {
    let is = |at: usize, word: &str| segments.get(at).is_some_and(|s| s.eq_ignore_ascii_case(word));
    if is(0, "api") && is(1, "connector") {
        vec![0, 1, 2]
    } else if is(0, "api") && is(1, "v1") {
        native_segments(segments)
    } else if is(0, "data") && (is(1, "DataManagementDefinitionGroups") || is(1, "$metadata")) {
        vec![0, 1]
    } else if is(0, "data") || is(0, "metadata") {
        vec![0]
    } else if is(0, "common") && is(1, "discovery") {
        vec![0, 1, 2]
    } else if is(1, "oauth2") || is(1, "discovery") {
        vec![1, 2, 3]
    } else if is(0, "health") || (is(0, "common") && is(1, "userrealm")) {
        vec![0, 1]
    } else if is(0, "dmf") || is(0, "console") {
        vec![0]
    } else {
        Vec::new()
    }
}

/// In our own paths words and data take turns, but for some words where data could stand.
fn native_segments(segments: &[&str]) -> Vec<usize> {
    let is = |at: usize, word: &str| segments.get(at).is_some_and(|s| s.eq_ignore_ascii_case(word));
    if is(2, "sandbox") {
        return vec![0, 1, 2, 3];
    }
    let mut fixed = vec![0, 1, 2, 4];
    if (is(2, "leases") && is(3, "batch")) || is(2, "dead-letters") || is(2, "audit") {
        fixed.push(3);
    }
    if is(2, "jobs") {
        fixed.push(5);
    }
    fixed
}

/// `en`, `en-us`, `zh-hans`.
fn is_locale(segment: &str) -> bool {
    let mut parts = segment.split('-');
    let language = parts
        .next()
        .is_some_and(|p| p.len() == 2 && p.bytes().all(|b| b.is_ascii_alphabetic()));
    let region = parts
        .next()
        .is_none_or(|p| (2..=4).contains(&p.len()) && p.bytes().all(|b| b.is_ascii_alphanumeric()));
    language && region && parts.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::canonical_path;

    #[test]
    fn every_form_of_a_connector_path_is_one_path() {
        let want = "/api/connector/dequeue/%7B6D31e09f%7D";
        for form in [
            "//api/connector/dequeue/%7B6D31e09f%7D",
            "/API/Connector/DEQUEUE/%7B6D31e09f%7D",
            "/en/api/connector/dequeue/%7B6D31e09f%7D",
            "/en-us/api/connector//dequeue/%7B6D31e09f%7D/",
            "/namespaces/AXSF/api/connector/dequeue/%7B6D31e09f%7D",
        ] {
            assert_eq!(canonical_path(form).as_deref(), Some(want), "{form}");
        }
        assert_eq!(canonical_path(want), None);
    }

    #[test]
    fn names_in_our_own_paths_keep_their_case() {
        assert_eq!(
            canonical_path("/API/v1/Jobs/Nightly%20Orders/RUN").as_deref(),
            Some("/api/v1/jobs/Nightly%20Orders/run")
        );
        assert_eq!(
            canonical_path("/api/v1/JOBS/Orders/Messages/Batch").as_deref(),
            Some("/api/v1/jobs/Orders/messages/batch")
        );
        assert_eq!(
            canonical_path("/api/v1/Leases/BATCH").as_deref(),
            Some("/api/v1/leases/batch")
        );
        assert_eq!(
            canonical_path("/api/v1/Leases/AbC=/ACK").as_deref(),
            Some("/api/v1/leases/AbC=/ack")
        );
        assert_eq!(canonical_path("/"), None);
        assert_eq!(canonical_path("//").as_deref(), Some("/"));
    }

    #[test]
    fn tenants_keep_their_case_but_common_is_a_word() {
        for (sent, canonical) in [
            ("/Contoso.Test/OAuth2/V2.0/Token", "/Contoso.Test/oauth2/v2.0/token"),
            ("/Contoso.Test/Discovery/V2.0/Keys", "/Contoso.Test/discovery/v2.0/keys"),
            ("/Common/Discovery/Instance", "/common/discovery/instance"),
            (
                "/Common/UserRealm/Erp@Contoso.Test",
                "/common/userrealm/Erp@Contoso.Test",
            ),
        ] {
            assert_eq!(canonical_path(sent).as_deref(), Some(canonical), "{sent}");
        }
    }

    #[test]
    fn odata_actions_keep_their_case() {
        let action = "/data/datamanagementdefinitiongroups/Microsoft.Dynamics.DataEntities.GetMessageStatus";
        let sent = "/data/DataManagementDefinitionGroups/Microsoft.Dynamics.DataEntities.GetMessageStatus";
        assert_eq!(canonical_path(sent).as_deref(), Some(action));
    }
}
