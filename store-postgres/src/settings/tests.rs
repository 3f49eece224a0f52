//! Each case is in `cases.json`: a URL and a world, and what comes of them.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use serde_json::{Value, json};

use super::{Place, Settings, World};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    url: String,
    #[serde(default)]
    env: BTreeMap<String, String>,
    #[serde(default)]
    files: BTreeMap<String, String>,
    #[serde(default)]
    gives: Value,
    #[serde(default)]
    error: Option<String>,
}

impl World for Case {
    fn variable(&self, name: &str) -> Option<String> {
        self.env.get(name).cloned()
    }

    fn file(&self, path: &Path) -> Option<String> {
        self.files.get(path.to_str()?).cloned()
    }

    fn secret_file(&self, path: &Path) -> Option<String> {
        self.file(path)
    }
}

/// Everything that is settled, as JSON.
fn shown(settings: &Settings) -> Value {
    let servers = settings.servers.iter().map(|server| {
        let place = match &server.place {
            Place::Host(name) => name.clone(),
            Place::Socket(path) => path.display().to_string(),
        };
        let password = server.password.as_ref().map(|it| it.0.to_string());
        json!([place, server.port, password])
    });
    json!({
        "servers": servers.collect::<Value>(),
        "database": settings.database,
        "user": settings.user,
        "store": settings.store,
        "tls": format!("{:?}", settings.tls.mode),
        "authorities": settings.tls.authorities,
        "identity": settings.tls.identity,
        "timeout": settings.connect_timeout.as_secs(),
        "attributes": format!("{:?}", settings.attributes),
        "application": settings.application,
        "options": settings.options,
    })
}

#[test]
fn settings_come_from_where_postgresql_has_them() {
    let cases: Vec<Case> = serde_json::from_str(include_str!("cases.json")).unwrap();
    for case in cases {
        let name = &case.name;
        match (Settings::new(&case.url, &case), &case.error) {
            (Ok(settings), None) => {
                let shown = shown(&settings);
                // What a case does not name is not what it is about.
                for (key, expected) in case.gives.as_object().expect("what it gives") {
                    assert_eq!(&shown[key], expected, "{name}: {key}");
                }
                assert!(!format!("{settings:?}").contains("SECRET"), "{name}");
            }
            (Err(error), Some(expected)) => {
                assert_eq!(&error.to_string(), expected, "{name}");
                assert!(!error.to_string().contains("SECRET"), "{name}");
            }
            (Ok(settings), Some(_)) => panic!("{name}: no error but {settings:?}"),
            (Err(error), None) => panic!("{name}: {error}"),
        }
    }
}
