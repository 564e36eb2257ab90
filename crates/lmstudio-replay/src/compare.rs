//! Compares the same request through the proxy and straight to the server.

use anyclaude_traces::Request;
use anyclaude_traces::analysis::explain::{Direct, Doubt};

use crate::run::{Cache, Comparison, Figures, Proxied, Replay, Verdict, three_decimals};

/// Differences below this count as noise, …
const NOISE_MS: f64 = 500.0;
/// … and so do those below this share of the shorter time.
const NOISE_SHARE: f64 = 0.1;
/// The largest cached share of a prompt that still counts as cold.
const COLD_SHARE: f64 = 0.1;

impl Replay {
    /// Compares the replay with the request through the proxy, and keeps the result. There
    /// is none where the log does not have the request.
    pub fn compare(&mut self, request: &Request) {
        self.comparison = Proxied::of(request).map(|proxied| Comparison::of(self, proxied));
    }

    /// This measurement as [`explain`](anyclaude_traces::analysis::explain::explain) takes it beside
    /// requests through the proxy; `None` where it has no time to first token. `model` is
    /// the one that answered these requests, if known.
    #[must_use]
    pub fn direct(&self, model: Option<&str>) -> Option<Direct> {
        let doubt = match model {
            Some(model) if !is_same_model(model, &self.model) => Some(Doubt::OtherModel(self.model.clone())),
            _ if !self.was_cold() => Some(Doubt::MaybeCached),
            _ => None,
        };
        Some(Direct {
            ttft_ms: self.median.ttft_ms?,
            output_tokens_per_second: self.median.output_tokens_per_second,
            doubt,
        })
    }

    /// Whether the server had to process the whole prompt.
    fn was_cold(&self) -> bool {
        #[allow(clippy::cast_precision_loss, reason = "token counts stay far below 2^53")]
        let share = |(cached, prompt): (u64, u64)| cached as f64 / prompt as f64;
        let cached = self.median.cached_tokens.zip(self.median.prompt_tokens).map(share);
        self.cache == Cache::Cold || cached.is_some_and(|share| share <= COLD_SHARE)
    }
}

impl Proxied {
    fn of(request: &Request) -> Option<Self> {
        let timing = request.timing.as_ref()?;
        timing.ttft_ms.or(timing.total_ms).get()?;
        Some(Self {
            model: request.model.as_deref().map(str::to_owned),
            proxy_ms: timing.proxy_ms.get(),
            ttft_ms: timing.ttft_ms.get(),
            total_ms: timing.total_ms.get(),
            output_tokens: timing.output_tokens.get(),
            output_tokens_per_second: timing.reported_tokens_per_second,
        })
    }

    /// The times through the proxy and without it, for an answer of the same length.
    #[allow(clippy::cast_precision_loss, reason = "times and counts stay far below 2^53")]
    fn comparable_ms(&self, direct: &Figures) -> Option<(f64, f64)> {
        let before = self.proxy_ms.unwrap_or(0) as f64;
        let ttft_ms = direct.ttft_ms?;
        let generation_ms = self.output_tokens.and_then(|n| match (n, direct.output_tokens_per_second) {
            (0 | 1, _) => Some(0.0),
            (n, speed) => speed.map(|speed| (n - 1) as f64 * 1000.0 / speed),
        });
        match (self.total_ms, generation_ms) {
            (Some(total_ms), Some(generation_ms)) => {
                Some((before + total_ms as f64, ttft_ms + generation_ms))
            }
            _ => Some((before + self.ttft_ms? as f64, ttft_ms)),
        }
    }
}

impl Comparison {
    fn of(replay: &Replay, proxied: Proxied) -> Self {
        let times = proxied.comparable_ms(&replay.median);
        let times = times.map(|(proxied, direct)| (proxied, three_decimals(direct)));
        let added_ms = times.map(|(proxied, direct)| three_decimals(proxied - direct));
        let (verdict, headline) = match (times, &proxied.model) {
            (_, Some(model)) if !is_same_model(model, &replay.model) => {
                let why = format!(
                    "The log is of {model}, the replay of {}: the times of one model say nothing about the other.",
                    replay.model
                );
                (Verdict::Undetermined, why)
            }
            (Some((proxied, direct)), _) => judge(proxied, direct, replay.was_cold()),
            (None, _) => (Verdict::Undetermined, "Too little was measured to compare.".to_owned()),
        };
        let (proxied_ms, direct_ms) = times.unzip();
        Self { proxied, direct_ms, proxied_ms, added_ms, verdict, headline }
    }
}

fn judge(proxied: f64, direct: f64, was_cold: bool) -> (Verdict, String) {
    let (all, alone, added) = (seconds(proxied), seconds(direct), seconds(proxied - direct));
    if proxied - direct <= NOISE_MS.max(NOISE_SHARE * direct.min(proxied)) {
        return (
            Verdict::Backend,
            format!("Backend: straight to the server it takes {alone}, through the proxy {all}."),
        );
    }
    if direct >= proxied / 2.0 {
        let headline =
            format!("Backend: of {all} through the proxy, {alone} go without it; it adds at most {added}.");
        return (Verdict::Backend, headline);
    }
    if was_cold {
        return (
            Verdict::Proxy,
            format!("Proxy: straight to the server it takes {alone}, through the proxy {all}."),
        );
    }
    let headline = format!(
        "Proxy or prompt cache: straight to the server it takes {alone}, through the proxy {all}, but the \
         server may have had the prompt in its cache. A cold replay tells."
    );
    (Verdict::Undetermined, headline)
}

fn seconds(ms: f64) -> String {
    if ms.abs() < 1000.0 { format!("{ms:.0} ms") } else { format!("{:.1} s", ms / 1000.0) }
}

/// Whether two names mean one model: `openai/gpt-oss-20b`, `gpt-oss-20b` and a
/// second instance `gpt-oss-20b:2` do.
fn is_same_model(a: &str, b: &str) -> bool {
    let bare = |name: &str| {
        let name = name.rsplit('/').next().unwrap_or(name);
        let (model, instance) = name.rsplit_once(':').unwrap_or((name, ""));
        let is_instance = !instance.is_empty() && instance.bytes().all(|byte| byte.is_ascii_digit());
        if is_instance { model } else { name }.to_lowercase()
    };
    bare(a) == bare(b)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(proxied: f64, direct: f64, was_cold: bool) -> Verdict {
        judge(proxied, direct, was_cold).0
    }

    #[test]
    fn the_proxy_is_blamed_only_where_a_cold_prompt_shows_it() {
        assert_eq!(verdict(20_000.0, 18_000.0, false), Verdict::Backend);
        assert_eq!(verdict(20_000.0, 25_000.0, true), Verdict::Backend);
        assert_eq!(verdict(20_000.0, 12_000.0, true), Verdict::Backend);
        assert_eq!(verdict(20_000.0, 2_000.0, true), Verdict::Proxy);
        assert_eq!(verdict(20_000.0, 2_000.0, false), Verdict::Undetermined);
        assert_eq!(verdict(400.0, 10.0, true), Verdict::Backend, "less than half a second is noise");
    }

    #[test]
    fn times_are_compared_at_the_recorded_length() {
        let direct =
            Figures { ttft_ms: Some(1000.0), output_tokens_per_second: Some(10.0), ..Figures::default() };
        let full = Proxied {
            proxy_ms: Some(50),
            total_ms: Some(9000),
            output_tokens: Some(41),
            ..Proxied::default()
        };
        assert_eq!(full.comparable_ms(&direct), Some((9050.0, 5000.0)));
        let first_only = Proxied { ttft_ms: Some(3000), ..Proxied::default() };
        assert_eq!(first_only.comparable_ms(&direct), Some((3000.0, 1000.0)));
        assert_eq!(full.comparable_ms(&Figures::default()), None);
        assert_eq!(Proxied::default().comparable_ms(&direct), None);
    }

    #[test]
    fn names_of_one_model() {
        assert!(is_same_model("openai/gpt-oss-20b", "GPT-oss-20b:2"));
        assert!(!is_same_model("qwen3:4b", "qwen3:8b"));
        assert!(!is_same_model("a/b", "a/c"));
    }

    #[test]
    fn a_replay_beside_others_says_why_it_settles_nothing() {
        let median = Figures {
            ttft_ms: Some(900.0),
            output_tokens_per_second: Some(12.5),
            prompt_tokens: Some(1000),
            ..Figures::default()
        };
        let replay = |cache, cached_tokens| Replay {
            path: None,
            url: "http://127.0.0.1:1234".to_owned(),
            api: crate::Api::Openai,
            model: "openai/gpt-oss-20b".to_owned(),
            cache,
            max_tokens: 256,
            left_out: Vec::new(),
            runs: Vec::new(),
            median: Figures { cached_tokens, ..median },
            interrupted: false,
            comparison: None,
        };
        let doubt = |cache, cached, model| replay(cache, cached).direct(model).unwrap().doubt;
        let other = Some(Doubt::OtherModel("openai/gpt-oss-20b".to_owned()));
        assert_eq!(doubt(Cache::Cold, None, Some("gpt-oss-20b")), None);
        assert_eq!(doubt(Cache::Cold, None, None), None, "the recorded model is unknown");
        assert_eq!(doubt(Cache::Cold, None, Some("qwen3")), other);
        for cache in [Cache::AsIs, Cache::Warm] {
            assert_eq!(doubt(cache, None, None), Some(Doubt::MaybeCached));
            assert_eq!(doubt(cache, Some(101), None), Some(Doubt::MaybeCached));
            assert_eq!(doubt(cache, Some(100), None), None, "the server says that it was cold");
            assert_eq!(doubt(cache, None, Some("qwen3")), other);
        }
        let direct = replay(Cache::Cold, None).direct(None).unwrap();
        assert_eq!((direct.ttft_ms, direct.output_tokens_per_second), (900.0, Some(12.5)));
        let mut silent = replay(Cache::Cold, None);
        silent.median.ttft_ms = None;
        assert_eq!(silent.direct(None), None);
    }
}
