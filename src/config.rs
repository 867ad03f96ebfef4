//! Settings: the built-in defaults, then a file, then the environment. A key or value that is not understood stops the start.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use jiff::tz::TimeZone;
use toml::{Table, Value};

use crate::speak::{Network, Verb};
use crate::{arrive, beat, ledger, react, speak};

/// Every key, its default and one comment.
pub const DEFAULTS: &str = include_str!("config.default.toml");

/// The settings of all rooms.
#[derive(Debug, Clone)]
pub struct Config {
    /// Address and port to listen on.
    pub listen: String,
    /// The way in.
    pub arrive: arrive::Settings,
    /// Memory.
    pub ledger: ledger::Settings,
    /// The loop.
    pub beat: beat::Settings,
    /// The way out.
    pub speak: speak::Settings,
}

impl Config {
    /// Reads the settings; `environment` gives the value of a variable.
    pub fn read(file: Option<&Path>, environment: impl Fn(&str) -> Option<String>) -> Result<Self> {
        let mut table: Table = DEFAULTS.parse().context("the built-in settings")?;
        if let Some(path) = file {
            let text = std::fs::read_to_string(path).with_context(|| format!("the settings file {}", path.display()))?;
            let given: Table = text.parse().with_context(|| format!("the settings file {}", path.display()))?;
            lay_over(&mut table, given)?;
        }
        override_from(&mut table, environment)?;
        Self::of(&table)
    }

    fn of(table: &Table) -> Result<Self> {
        let at = At(table);
        let arrive = arrive::Settings {
            base: at.text("serve", "base")?,
            forwarded: at.flag("serve", "forwarded")?,
            origins: at.texts("serve", "origins")?,
            tenant: at.text("serve", "tenant")?,
            requests_max: usize::try_from(at.count("serve", "requests_max")?)?,
            requests_per_minute: u32::try_from(at.bound("serve", "requests_per_minute")?.unwrap_or(0))?,
            ..arrive::Settings::default()
        };
        let ledger = ledger::Settings { database: at.text("ledger", "database")?, key: PathBuf::from(at.text("ledger", "key")?) };
        let treatment = match at.text("react", "treatment")?.as_str() {
            "held" => react::Unasked::Held,
            "allowed" => react::Unasked::Allowed,
            other => bail!("react.treatment is \"held\" or \"allowed\", not \"{other}\""),
        };
        let zone = at.text("react", "zone")?;
        let bound = |key| at.count("react", key).and_then(|count| Ok(i64::try_from(count)?));
        let radius =
            react::Radius { times: bound("radius_times")?, floor: bound("radius_floor")?, unknown: bound("radius_unknown")? };
        let beat = beat::Settings {
            react: react::Settings { treatment, radius },
            zone: TimeZone::get(&zone).map_err(|_| anyhow!("react.zone: there is no time zone \"{zone}\""))?,
            seal_every: Duration::from_secs(at.count("ledger", "seal_seconds")?),
            waiting_max: beat::WAITING_MAX,
        };
        let speak = speak::Settings {
            allow: networks(&at.texts("speak", "allow")?)?,
            verb: match at.text("speak", "verb")?.as_str() {
                "post" => Verb::Post,
                "put" => Verb::Put,
                other => bail!("speak.verb is \"post\" or \"put\", not \"{other}\""),
            },
            attempt_max: Duration::from_secs(at.count("speak", "attempt_seconds")?),
            ..speak::Settings::default()
        };
        Ok(Self { listen: at.text("serve", "listen")?, arrive, ledger, beat, speak })
    }
}

fn networks(texts: &[String]) -> Result<Vec<Network>> {
    texts.iter().map(|text| text.parse().map_err(|why| anyhow!("speak.allow: \"{text}\": {why}"))).collect()
}

fn lay_over(table: &mut Table, given: Table) -> Result<()> {
    for (section, values) in given {
        let known = table.get_mut(&section).and_then(Value::as_table_mut);
        let known = known.ok_or_else(|| anyhow!("there is no section [{section}] in the settings"))?;
        let Value::Table(values) = values else { bail!("[{section}] is a section, not a value") };
        for (key, value) in values {
            let default = known.get(&key).ok_or_else(|| anyhow!("there is no setting {section}.{key}"))?;
            if default.type_str() != value.type_str() {
                bail!("{section}.{key} is of type {}, not {}", default.type_str(), value.type_str());
            }
            known.insert(key, value);
        }
    }
    Ok(())
}

fn override_from(table: &mut Table, environment: impl Fn(&str) -> Option<String>) -> Result<()> {
    for (section, values) in table.iter_mut() {
        let Value::Table(values) = values else { continue };
        for (key, value) in values.iter_mut() {
            let name = format!("SIGNA_{section}_{key}").to_uppercase();
            if let Some(text) = environment(&name) {
                *value = typed(value, &text).ok_or_else(|| anyhow!("{name}: \"{text}\" is no {}", value.type_str()))?;
            }
        }
    }
    Ok(())
}

fn typed(like: &Value, text: &str) -> Option<Value> {
    match like {
        Value::String(_) => Some(Value::String(text.to_owned())),
        Value::Integer(_) => text.parse().ok().map(Value::Integer),
        Value::Boolean(_) => text.parse().ok().map(Value::Boolean),
        Value::Array(_) => {
            let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
            Some(Value::Array(parts.map(|part| Value::String(part.to_owned())).collect()))
        }
        _ => None,
    }
}

/// Typed reading of a table that has every key.
struct At<'t>(&'t Table);

impl At<'_> {
    fn value(&self, section: &str, key: &str) -> Result<&Value> {
        self.0.get(section).and_then(|values| values.get(key)).ok_or_else(|| anyhow!("the setting {section}.{key} is missing"))
    }

    fn text(&self, section: &str, key: &str) -> Result<String> {
        self.value(section, key)?.as_str().map(str::to_owned).ok_or_else(|| anyhow!("{section}.{key} is a text"))
    }

    fn flag(&self, section: &str, key: &str) -> Result<bool> {
        self.value(section, key)?.as_bool().ok_or_else(|| anyhow!("{section}.{key} is true or false"))
    }

    fn count(&self, section: &str, key: &str) -> Result<u64> {
        self.bound(section, key)?.ok_or_else(|| anyhow!("{section}.{key} is a number above zero"))
    }

    /// A number, or 0 for none.
    fn bound(&self, section: &str, key: &str) -> Result<Option<u64>> {
        let number = self.value(section, key)?.as_integer().and_then(|number| u64::try_from(number).ok());
        let number = number.ok_or_else(|| anyhow!("{section}.{key} is a whole number, and none below zero"))?;
        Ok((number > 0).then_some(number))
    }

    fn texts(&self, section: &str, key: &str) -> Result<Vec<String>> {
        let array = self.value(section, key)?.as_array().ok_or_else(|| anyhow!("{section}.{key} is a list"))?;
        let text = |value: &Value| value.as_str().map(str::to_owned).ok_or_else(|| anyhow!("{section}.{key} is a list of texts"));
        array.iter().map(text).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(text: &str) -> Result<Config> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("signa.toml");
        std::fs::write(&path, text)?;
        Config::read(Some(&path), |_| None)
    }

    #[test]
    fn the_defaults_are_complete() {
        assert_eq!(Config::read(None, |_| None).unwrap().listen, "127.0.0.1:8080");
    }

    #[test]
    fn an_unknown_key_or_a_bad_value_stops_the_start() {
        for (text, sentence) in [
            ("[serve]\nlisten_on = \"x\"", "there is no setting serve.listen_on"),
            ("[sevre]\n", "there is no section [sevre]"),
            ("[ledger]\nseal_seconds = \"soon\"", "ledger.seal_seconds is of type integer"),
            ("[react]\ntreatment = \"maybe\"", "react.treatment is \"held\" or \"allowed\""),
            ("[speak]\nallow = [\"10.1.0.0/99\"]", "speak.allow"),
        ] {
            let error = format!("{:#}", with(text).unwrap_err());
            assert!(error.contains(sentence), "{error}");
        }
    }

    #[test]
    fn the_environment_goes_before_the_file() {
        let environment = |name: &str| (name == "SIGNA_SERVE_LISTEN").then(|| String::from("127.0.0.1:9"));
        assert_eq!(Config::read(None, environment).unwrap().listen, "127.0.0.1:9");
    }
}
