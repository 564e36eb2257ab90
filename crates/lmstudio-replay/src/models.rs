//! Finds out which model a server has loaded.

use serde_json::Value;

use crate::error::Error;
use crate::http::ServerAccess;

/// What a server says about its models.
#[derive(Debug, Default, PartialEq, Eq)]
struct ServerModels {
    /// Those that are loaded; `None` where the server does not tell.
    loaded: Option<Vec<String>>,
    /// All that it has.
    known: Vec<String>,
}

/// Reads one form of list; `None` where the document has another.
type ListReader = fn(&Value) -> Option<ServerModels>;

/// The only model that is loaded, or the only one that there is.
///
/// Asks LM Studio's own APIs first, which tell what is loaded, then the one that every
/// server has.
pub(crate) fn only_model(server: &ServerAccess) -> Result<String, Error> {
    let readers: [(&str, ListReader); 3] =
        [("/api/v1/models", v1), ("/api/v0/models", v0), ("/v1/models", plain)];
    for (path, read) in readers {
        let document = match server.get(path) {
            // Some servers close the connection where they have no path.
            Err(Error::Broken(_)) => None,
            answered => answered?,
        };
        if let Some(models) = document.as_ref().and_then(read) {
            return models.only();
        }
    }
    Err(Error::Model("the server does not list its models".to_owned()))
}

impl ServerModels {
    fn only(self) -> Result<String, Error> {
        let Self { loaded, known } = self;
        let fail = |what: String| Err(Error::Model(what));
        match (loaded.as_deref(), known.as_slice()) {
            (Some([one]), _) | (None, [one]) => Ok(one.clone()),
            (Some([]), []) | (None, []) => {
                fail("the server has no model: `lms get NAME` fetches one".to_owned())
            }
            (Some([]), known) => {
                fail(format!("no model is loaded: `lms load NAME` loads one of {}", known.join(", ")))
            }
            (Some(several), _) => {
                fail(format!("{} models are loaded: {}", several.len(), several.join(", ")))
            }
            (None, several) => fail(format!(
                "the server has {} models and does not tell which is loaded: {}",
                several.len(),
                several.join(", ")
            )),
        }
    }
}

/// LM Studio 0.4: every model with its loaded instances.
fn v1(document: &Value) -> Option<ServerModels> {
    let mut models = ServerModels::default();
    let mut loaded = Vec::new();
    for model in document.get("models")?.as_array()? {
        let instances = model.get("loaded_instances")?.as_array()?;
        if is_embedding(model) {
            continue;
        }
        loaded.extend(instances.iter().filter_map(|instance| text(instance, "id")));
        models.known.extend(text(model, "key"));
    }
    models.loaded = Some(loaded);
    Some(models)
}

/// LM Studio 0.3.6: every model with its state.
fn v0(document: &Value) -> Option<ServerModels> {
    let mut models = ServerModels::default();
    let mut loaded = Vec::new();
    for model in document.get("data")?.as_array()? {
        let state = text(model, "state")?;
        if is_embedding(model) {
            continue;
        }
        loaded.extend(text(model, "id").filter(|_| state == "loaded"));
        models.known.extend(text(model, "id"));
    }
    models.loaded = Some(loaded);
    Some(models)
}

/// Any server: names alone.
fn plain(document: &Value) -> Option<ServerModels> {
    let models = document.get("data")?.as_array()?;
    let known = models.iter().filter(|model| !is_embedding(model)).filter_map(|model| text(model, "id"));
    Some(ServerModels { loaded: None, known: known.collect() })
}

fn text(value: &Value, name: &str) -> Option<String> {
    value.get(name)?.as_str().map(str::to_owned)
}

/// Whether the model makes embeddings, not text. The plain list has no types, but LM
/// Studio's names of such models begin with `text-embedding-`.
fn is_embedding(model: &Value) -> bool {
    let kind = model.get("type").and_then(Value::as_str).unwrap_or_default();
    let id = model.get("id").and_then(Value::as_str).unwrap_or_default();
    kind.starts_with("embedding") || id.starts_with("text-embedding-")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn only(models: Option<ServerModels>) -> Result<String, String> {
        models.unwrap().only().map_err(|error| error.to_string())
    }

    #[test]
    fn the_only_loaded_model_is_taken() {
        let document = json!({ "models": [
            { "type": "llm", "key": "openai/gpt-oss-20b", "loaded_instances": [{ "id": "gpt", "config": {} }] },
            { "type": "llm", "key": "qwen/qwen3", "loaded_instances": [] },
            { "type": "embedding", "key": "nomic", "loaded_instances": [{ "id": "nomic" }] },
        ] });
        assert_eq!(only(v1(&document)).unwrap(), "gpt");
        let document = json!({ "data": [
            { "id": "text-embedding-nomic", "type": "embeddings", "state": "loaded" },
            { "id": "gpt", "type": "llm", "state": "not-loaded" },
            { "id": "qwen", "type": "vlm", "state": "loaded" },
        ] });
        assert_eq!(only(v0(&document)).unwrap(), "qwen");
        assert_eq!(
            only(plain(&json!({ "data": [{ "id": "text-embedding-x" }, { "id": "gpt" }] }))).unwrap(),
            "gpt"
        );
    }

    #[test]
    fn several_or_none_are_named() {
        let loaded = |states: [&str; 2]| {
            let model = |(id, state): (&str, &str)| json!({ "id": id, "type": "llm", "state": state });
            let models: Vec<Value> = ["gpt", "qwen"].into_iter().zip(states).map(model).collect();
            only(v0(&json!({ "data": models }))).unwrap_err()
        };
        assert_eq!(loaded(["loaded", "loaded"]), "2 models are loaded: gpt, qwen");
        let none = loaded(["not-loaded", "not-loaded"]);
        assert_eq!(none, "no model is loaded: `lms load NAME` loads one of gpt, qwen");
        let several = only(plain(&json!({ "data": [{ "id": "a" }, { "id": "b" }] }))).unwrap_err();
        assert!(several.ends_with("does not tell which is loaded: a, b"), "{several}");
        assert!(only(plain(&json!({ "data": [] }))).unwrap_err().contains("no model"));
    }

    #[test]
    fn another_shape_is_no_answer() {
        for document in
            [json!({ "error": "Unexpected endpoint" }), json!([]), json!({ "data": [{ "id": "a" }] })]
        {
            assert_eq!(v1(&document), None);
            assert_eq!(v0(&document), None);
        }
        assert_eq!(plain(&json!({ "models": [] })), None);
    }
}
