"""Microsoft's and others' own sign-in libraries against the service's token issuer, over TLS, and calls with the tokens they get.

    python sign_in.py BASE_URL CLIENT_ID CLIENT_SECRET ACTIVITY_ID

REQUESTS_CA_BUNDLE and SSL_CERT_FILE name the authority to trust. Prints a line for each thing that was as a program expects it,
and fails at the first that is not.
"""

import asyncio
import sys

import azure.identity
import azure.identity.aio
import msal
import requests
from authlib.integrations.requests_client import OAuth2Session
from authlib.integrations.base_client.errors import OAuthError
from azure.core.exceptions import ClientAuthenticationError
from joserfc import jwt
from joserfc.jwk import KeySet

BASE, CLIENT, SECRET, JOB = sys.argv[1:]
SCOPE = f"{BASE}/.default"


def is_let_in(token):
    """The token opens the connector: a file goes in, comes out and is acknowledged."""
    headers = {"Authorization": f"Bearer {token}"}
    connector = f"{BASE}/api/connector"
    sent = requests.post(f"{connector}/enqueue/{JOB}", data=b"cargo", headers=headers)
    assert sent.status_code == 200, sent.text
    offered = requests.get(f"{connector}/dequeue/{JOB}", headers=headers)
    assert offered.status_code == 200, offered.text
    file = requests.get(offered.json()["DownloadLocation"], headers=headers)
    assert file.status_code == 200 and file.content == b"cargo", file.text
    done = requests.post(f"{connector}/ack/{JOB}", json=offered.json(), headers=headers)
    assert done.status_code == 200, done.text


def msal_confidential_client():
    app = msal.ConfidentialClientApplication(
        CLIENT, client_credential=SECRET, authority=f"{BASE}/default", instance_discovery=False
    )
    answer = app.acquire_token_for_client(scopes=[SCOPE])
    assert "access_token" in answer, answer
    assert answer["token_type"] == "Bearer" and answer["token_source"] == "identity_provider", answer
    is_let_in(answer["access_token"])
    again = app.acquire_token_for_client(scopes=[SCOPE])
    assert again["token_source"] == "cache", again
    assert again["access_token"] == answer["access_token"]
    wrong = msal.ConfidentialClientApplication(
        CLIENT, client_credential="wrong", authority=f"{BASE}/default", instance_discovery=False
    ).acquire_token_for_client(scopes=[SCOPE])
    # AUTH-5
    assert wrong["error"] == "invalid_client" and wrong["error_codes"], wrong


def msal_by_discovery():
    app = msal.ConfidentialClientApplication(
        CLIENT, client_credential=SECRET, oidc_authority=f"{BASE}/default/v2.0"
    )
    answer = app.acquire_token_for_client(scopes=[SCOPE])
    assert "access_token" in answer, answer
    is_let_in(answer["access_token"])


def azure_identity():
    named = {"authority": BASE, "disable_instance_discovery": True}
    credential = azure.identity.ClientSecretCredential("default", CLIENT, SECRET, **named)
    token = credential.get_token(SCOPE)
    assert token.expires_on > 0
    is_let_in(token.token)
    try:
        azure.identity.ClientSecretCredential("default", CLIENT, "wrong", **named).get_token(SCOPE)
        raise AssertionError("a wrong secret got a token")
    except ClientAuthenticationError as refused:
        assert "invalid_client" in str(refused) or "Invalid client secret" in str(refused), refused


def azure_identity_asynchronous():
    async def get():
        credential = azure.identity.aio.ClientSecretCredential(
            "default", CLIENT, SECRET, authority=BASE, disable_instance_discovery=True
        )
        async with credential:
            return await credential.get_token(SCOPE)

    is_let_in(asyncio.run(get()).token)


def authlib_both_versions():
    for method in ["client_secret_post", "client_secret_basic"]:
        session = OAuth2Session(CLIENT, SECRET, token_endpoint_auth_method=method)
        token = session.fetch_token(f"{BASE}/default/oauth2/token", grant_type="client_credentials", resource=BASE)
        # AUTH-1: texts in version 1, numbers in version 2.
        assert isinstance(token["expires_in"], str) and token["resource"] == BASE, token
        is_let_in(token["access_token"])
        session = OAuth2Session(CLIENT, SECRET, scope=SCOPE, token_endpoint_auth_method=method)
        token = session.fetch_token(f"{BASE}/default/oauth2/v2.0/token", grant_type="client_credentials")
        assert isinstance(token["expires_in"], int), token
        is_let_in(token["access_token"])
        answer = session.get(f"{BASE}/api/connector/dequeue/{JOB}")
        assert answer.status_code == 204, answer.text


def authlib_password():
    # AUTH-4: a user is a client by its name.
    session = OAuth2Session("a-native-application", scope=SCOPE, token_endpoint_auth_method="none")
    url = f"{BASE}/default/oauth2/v2.0/token"
    token = session.fetch_token(url, username=f"{CLIENT}@example.test", password=SECRET)
    is_let_in(token["access_token"])
    try:
        session.fetch_token(url, username=CLIENT, password="wrong")
        raise AssertionError("a wrong password got a token")
    except OAuthError as refused:
        assert refused.error == "invalid_grant", refused


def keys_of_the_issuer():
    discovered = requests.get(f"{BASE}/default/v2.0/.well-known/openid-configuration").json()
    keys = KeySet.import_key_set(requests.get(discovered["jwks_uri"]).json())
    session = OAuth2Session(CLIENT, SECRET, scope=SCOPE)
    token = session.fetch_token(discovered["token_endpoint"], grant_type="client_credentials")
    decoded = jwt.decode(token["access_token"], keys, algorithms=["ES256"])
    assert decoded.claims["iss"] == discovered["issuer"], decoded.claims
    assert decoded.claims["aud"] == BASE and decoded.claims["oid"] and decoded.claims["tid"], decoded.claims


CHECKS = [
    msal_confidential_client,
    msal_by_discovery,
    azure_identity,
    azure_identity_asynchronous,
    authlib_both_versions,
    authlib_password,
    keys_of_the_issuer,
]
for check in CHECKS:
    check()
    print("passed:", check.__name__, flush=True)
