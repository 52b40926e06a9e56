//! A browser: keeps cookies, follows no redirect, sends forms with the token of the page they stand on.

use std::collections::BTreeMap;
use std::sync::Mutex;

use reqwest::header::{COOKIE, HeaderMap, LOCATION, SET_COOKIE};
use reqwest::{Method, StatusCode};

use super::html::{self, Element};
use crate::app::TestApp;

/// A page, or what came instead.
pub struct Seen {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub page: String,
}

impl Seen {
    pub fn text(&self) -> String {
        html::text(&self.page)
    }

    /// The page's elements; the page is sound.
    pub fn elements(&self) -> Vec<Element> {
        html::elements(&self.page)
    }

    pub fn location(&self) -> &str {
        assert_eq!(self.status, StatusCode::SEE_OTHER, "{}", self.text());
        self.headers[LOCATION].to_str().unwrap()
    }

    /// Where links and forms of the page lead, below the console.
    pub fn links(&self) -> Vec<String> {
        let led = self.elements();
        let led = led.iter().filter_map(|element| element.get("href"));
        led.filter(|to| to.starts_with("/console")).map(str::to_owned).collect()
    }

    /// What the page's fields hold, as a browser sends it. Boxes are not ticked.
    pub fn fields(&self) -> Vec<(String, String)> {
        let fields = self.elements();
        let named = fields
            .iter()
            .filter(|field| field.name == "input" && field.get("type") != Some("checkbox"))
            .filter_map(|field| {
                Some((
                    field.get("name")?.to_owned(),
                    field.get("value").unwrap_or_default().to_owned(),
                ))
            });
        let areas = self.page.split("<textarea ").skip(1).map(|area| {
            let (tag, text) = area.split_once('>').unwrap();
            let name = tag.split_once("name=\"").unwrap().1.split('"').next().unwrap();
            let text = html::unescaped(text.split_once("</textarea>").unwrap().0);
            let text = text
                .strip_prefix('\n')
                .unwrap_or(&text)
                .replace("\r\n", "\n")
                .replace('\n', "\r\n");
            (name.to_owned(), text)
        });
        named.chain(areas).collect()
    }

    /// The token of the page's forms.
    pub fn form_token(&self) -> String {
        let fields = self.elements();
        let token = fields.iter().find(|field| field.get("name") == Some("form_token"));
        token.and_then(|field| field.get("value")).expect("a form").to_owned()
    }

    #[track_caller]
    pub fn says(&self, what: &str) {
        let text = self.text();
        assert!(text.contains(what), "`{what}` is not in: {text}");
    }

    #[track_caller]
    pub fn does_not_say(&self, what: &str) {
        let text = self.text();
        assert!(!text.contains(what), "`{what}` is in: {text}");
    }
}

pub struct Browser<'a> {
    pub app: &'a TestApp,
    pub cookies: Mutex<BTreeMap<String, String>>,
}

impl<'a> Browser<'a> {
    pub fn new(app: &'a TestApp) -> Self {
        Self {
            app,
            cookies: Mutex::default(),
        }
    }

    /// Somebody new of this role, signed in.
    pub async fn of(app: &'a TestApp, name: &str, role: &str) -> Self {
        let secret = app.add_client(name, role).await;
        let browser = Self::new(app);
        let seen = browser.sign_in(name, &secret).await;
        assert_eq!(seen.location(), "/console");
        browser
    }

    pub async fn sign_in(&self, name: &str, secret: &str) -> Seen {
        self.send("/console/sign-in", &[("client", name), ("secret", secret)], &[])
            .await
    }

    pub async fn get(&self, path: &str) -> Seen {
        self.request(Method::GET, path, None, &[]).await
    }

    /// A page that is there and sound.
    #[track_caller]
    pub fn see(&self, path: &str) -> impl Future<Output = Seen> {
        let path = path.to_owned();
        async move {
            let seen = self.get(&path).await;
            assert_eq!(seen.status, StatusCode::OK, "{path}: {}", seen.text());
            seen.elements();
            seen
        }
    }

    /// Sends a form as it is, with these headers.
    pub async fn send(&self, path: &str, form: &[(&str, &str)], headers: &[(&'static str, &str)]) -> Seen {
        self.request(Method::POST, path, Some(form), headers).await
    }

    /// Sends the form of a page.
    pub async fn submit(&self, path: &str, form: &[(&str, &str)]) -> Seen {
        let token = self.see(path).await.form_token();
        let mut form = form.to_vec();
        form.push(("form_token", &token));
        self.send(path, &form, &[("sec-fetch-site", "same-origin")]).await
    }

    async fn request(
        &self,
        method: Method,
        path: &str,
        form: Option<&[(&str, &str)]>,
        headers: &[(&'static str, &str)],
    ) -> Seen {
        let cookies: Vec<String> = {
            let cookies = self.cookies.lock().unwrap();
            cookies.iter().map(|(name, value)| format!("{name}={value}")).collect()
        };
        let mut request = self.app.request(method, path);
        if !cookies.is_empty() {
            request = request.header(COOKIE, cookies.join("; "));
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(form) = form {
            request = request.form(form);
        }
        let answer = request.send().await.unwrap();
        for cookie in answer.headers().get_all(SET_COOKIE) {
            let (name, rest) = cookie.to_str().unwrap().split_once('=').unwrap();
            let value = rest.split(';').next().unwrap();
            self.cookies.lock().unwrap().insert(name.to_owned(), value.to_owned());
        }
        Seen {
            status: answer.status(),
            headers: answer.headers().clone(),
            page: answer.text().await.unwrap(),
        }
    }
}

/// A link into the console asks who comes to sign in, and leads there then.
pub async fn leads_there(app: &TestApp, link: &str) -> Seen {
    let path = link
        .strip_prefix(&app.url)
        .unwrap_or_else(|| panic!("{link} is not of {}", app.url));
    let browser = Browser::new(app);
    let asked = browser.get(path).await;
    assert_eq!(asked.status, StatusCode::UNAUTHORIZED);
    let fields = asked.fields();
    let to = fields.iter().find(|(name, _)| name == "to").map(|(_, to)| to.as_str());
    assert_eq!(to, Some(path), "the form comes back");
    let name = format!("looker-{}", path.len());
    let secret = app.add_client(&name, "viewer").await;
    let form = [("to", path), ("client", name.as_str()), ("secret", secret.as_str())];
    let signed_in = browser.send("/console/sign-in", &form, &[]).await;
    assert_eq!(signed_in.location(), path);
    browser.see(path).await
}
