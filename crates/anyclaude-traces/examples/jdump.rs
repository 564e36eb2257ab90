//! throwaway
use anyclaude_traces::formats::anyclaude::log::LogParser;
fn main() {
    for path in std::env::args().skip(1) {
        let mut parser = LogParser::new();
        parser.feed(&std::fs::read(&path).unwrap());
        let log = parser.finish();
        for run in log.runs {
            for r in run.requests {
                println!(
                    "{}",
                    serde_json::json!({"path": path, "level": run.level, "lost": run.unattributed_lines, "r": r})
                );
            }
        }
    }
}
