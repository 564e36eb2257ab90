//! What makes a change: settings of Claude Code, and the backend's.

use std::sync::Arc;

use super::{Change, Remedy};
use crate::analysis::tools::server;
use crate::findings::{NamedServer, Setting, SettingValue};

/// The settings of Claude Code that make the change. `removed` are the tools that it takes
/// out.
pub(crate) fn settings(change: &Change, removed: &[Arc<str>]) -> Vec<Setting> {
    let mut settings = Vec::new();
    // A rule that is a bare name takes the tool out of what the model is offered.
    let is_by_server =
        |name: &str| server(name).is_some_and(|of| change.without_servers.iter().any(|one| one == of));
    let mut denied: Vec<Arc<str>> = removed.iter().filter(|name| !is_by_server(name)).cloned().collect();
    denied.sort();
    if !denied.is_empty() {
        settings.push(Setting::of_claude_code("permissions.deny", SettingValue::Names(denied)));
    }
    if !change.without_servers.is_empty() {
        let servers = change.without_servers.iter().map(|name| NamedServer::new(name)).collect();
        settings.push(Setting::of_claude_code("deniedMcpServers", SettingValue::Servers(servers)));
    }
    if change.no_header {
        settings.push(Setting::of_claude_code(
            "env.CLAUDE_CODE_ATTRIBUTION_HEADER",
            SettingValue::Text("0".to_owned()),
        ));
    }
    settings
}

/// What makes the change in the backend.
pub(crate) fn remedies(change: &Change) -> Vec<Remedy> {
    change.slots.map(|slots| Remedy::Slots { slots: slots.get() as u64 }).into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tool_of_a_denied_server_needs_no_rule_of_its_own() {
        let change = Change {
            without_tools: vec!["Task".to_owned(), "Bash".to_owned()],
            without_servers: vec!["maps".to_owned()],
            no_header: true,
            ..Change::default()
        };
        let removed = ["Task", "mcp__maps__find", "Bash"].map(Arc::<str>::from);
        let settings = settings(&change, &removed);
        let said: Vec<String> = settings
            .iter()
            .map(|setting| format!("{}={}", setting.key, serde_json::to_string(&setting.value).unwrap()))
            .collect();
        assert_eq!(
            said,
            [
                r#"permissions.deny=["Bash","Task"]"#,
                r#"deniedMcpServers=[{"serverName":"maps"}]"#,
                r#"env.CLAUDE_CODE_ATTRIBUTION_HEADER="0""#
            ]
        );
        assert!(remedies(&change).is_empty());
        let change = Change { slots: std::num::NonZeroUsize::new(6), ..Change::default() };
        assert!(remedies(&change)[0].to_string().contains("--parallel 6"));
    }
}
