//! What to do about a server whose certificate is not taken.

/// The cure for what the TLS library said, where there is a better one than to look at the address.
pub fn cure(reason: &str) -> Option<&'static str> {
    const CURES: [(&str, &str); 7] = [
        (
            "InvalidContentType",
            "Something answers there, but without TLS: write http:// in --url or TRANSHIP_URL.",
        ),
        (
            "UnknownIssuer",
            "This machine does not trust who issued the server's certificate: name the authority's file in SSL_CERT_FILE.",
        ),
        (
            "BadSignature",
            "The server's certificate is not by the authority that this machine trusts under that name: SSL_CERT_FILE may name an older one.",
        ),
        (
            "CaUsedAsEndEntity",
            "The server shows the certificate of an authority: give it one that the authority signed (server.tls_cert, or `serve --dev-tls`).",
        ),
        (
            "not valid for name",
            "The server's certificate is for another name: use the name it is for in --url or TRANSHIP_URL.",
        ),
        (
            "certificate expired",
            "The server's certificate has expired: renew it, and send the service a SIGHUP.",
        ),
        (
            "certificate not valid yet",
            "The server's certificate is not valid yet: is this machine's clock right?",
        ),
    ];
    CURES
        .iter()
        .find(|(said, _)| reason.contains(said))
        .map(|(_, cure)| *cure)
}
