//! Measured turns, and the same turns with another prompt and another cache.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{CacheState, ColdRead, PredictedModel, PredictedTurns};
use crate::model::stats::{float, whole};
use crate::model::{CacheUse, ModelSpeeds, Speeds};

/// Less than this share of a prompt from the cache is cold, as the cost model says.
const COLD: f64 = 0.2;
/// As much as this is warm.
const WARM: f64 = 0.8;

/// One measured turn, and what both simulations say of it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Observed {
    pub(crate) model: Option<Arc<str>>,
    /// The tokens of its prompt, and of these what the backend read.
    pub(crate) prompt_tokens: u64,
    pub(crate) read_tokens: u64,
    /// What the change takes out of the prompt.
    pub(crate) removed_tokens: u64,
    /// What a simulated cache holds of the prompt as it was recorded, and changed; `None`
    /// where nothing was simulated.
    pub(crate) simulated: Option<[u64; 2]>,
    /// The time from the client's sending to the end, and what reading took of it.
    pub(crate) wall_ms: u64,
    pub(crate) read_ms: u64,
}

impl Observed {
    fn predicted_prompt_tokens(&self) -> u64 {
        self.prompt_tokens.saturating_sub(self.removed_tokens)
    }

    fn state(&self) -> CacheState {
        let cached = float(self.prompt_tokens.saturating_sub(self.read_tokens));
        match cached / float(self.prompt_tokens.max(1)) {
            share if share < COLD => CacheState::Cold,
            share if share < WARM => CacheState::Partly,
            _ => CacheState::Warm,
        }
    }

    /// The tokens that would be read. As many of those that the simulation holds are lost as
    /// were lost of the recorded prompt: the simulation tells what the change does to the
    /// cache, and the recording how far the backend falls short of it.
    fn predicted_read_tokens(&self, cache: CacheUse) -> f64 {
        let (prompt, read) = (float(self.prompt_tokens), float(self.read_tokens));
        let changed_prompt = float(self.predicted_prompt_tokens());
        let Some([held, changed_held]) = self.simulated.filter(|_| cache != CacheUse::ReadsAll) else {
            return changed_prompt * read / prompt.max(1.0);
        };
        let least = prompt - float(held);
        let changed_least = (changed_prompt - float(changed_held)).max(0.0);
        if read <= least {
            return changed_least * read / least.max(1.0);
        }
        let lost = (read - least) / float(held).max(1.0);
        changed_least + lost * (changed_prompt - changed_least)
    }

    /// The time that it would take.
    fn predicted_ms(&self, read_tokens: f64, speeds: &Speeds) -> Option<f64> {
        let read_ms = float(self.read_ms);
        let saved_ms = speeds.reading_ms(float(self.read_tokens) - read_tokens)?;
        // A request that was read faster than usual cannot save more than it took.
        let changed_ms = if saved_ms <= read_ms {
            read_ms - saved_ms
        } else {
            read_ms * read_tokens / float(self.read_tokens.max(1))
        };
        Some(float(self.wall_ms) - read_ms + changed_ms)
    }
}

/// What the turns of each model would take. `observed` is in order of time.
pub(crate) fn predict(observed: &[Observed], speeds: &[ModelSpeeds]) -> Vec<PredictedModel> {
    let mut models: BTreeMap<&Option<Arc<str>>, Vec<&Observed>> = BTreeMap::new();
    for one in observed {
        models.entry(&one.model).or_default().push(one);
    }
    let predicted = |(model, turns): (&Option<Arc<str>>, Vec<&Observed>)| {
        let speeds = speeds.iter().find(|of| of.model == *model).map(|of| of.speeds);
        let mut by_state: BTreeMap<CacheState, Vec<&Observed>> = BTreeMap::new();
        for turn in &turns {
            by_state.entry(turn.state()).or_default().push(turn);
        }
        if by_state.len() > 1 {
            by_state.insert(CacheState::All, turns.clone());
        }
        PredictedModel {
            model: model.clone(),
            read_tokens_per_second: speeds.and_then(|speeds| speeds.read_tokens_per_second),
            turns: by_state.into_iter().map(|(state, turns)| means(state, &turns, speeds.as_ref())).collect(),
            cold_read: turns.last().map(|newest| cold_read(newest, speeds.as_ref())),
        }
    };
    models.into_iter().map(predicted).collect()
}

fn means(state: CacheState, turns: &[&Observed], speeds: Option<&Speeds>) -> PredictedTurns {
    let n = float(turns.len() as u64).max(1.0);
    let mean = |of: &dyn Fn(&Observed) -> f64| turns.iter().map(|turn| of(turn)).sum::<f64>() / n;
    let cache = speeds.map_or(CacheUse::Unknown, |speeds| speeds.cache);
    let predicted = |turn: &&Observed| turn.predicted_ms(turn.predicted_read_tokens(cache), speeds?);
    let measured_ms = mean(&|turn| float(turn.wall_ms));
    let predicted_ms = turns.iter().map(predicted).sum::<Option<f64>>().map(|sum| sum / n);
    PredictedTurns {
        state,
        requests: turns.len() as u64,
        prompt_tokens: mean(&|turn| float(turn.prompt_tokens)),
        predicted_prompt_tokens: mean(&|turn| float(turn.predicted_prompt_tokens())),
        read_tokens: mean(&|turn| float(turn.read_tokens)),
        predicted_read_tokens: mean(&|turn| turn.predicted_read_tokens(cache)),
        measured_ms,
        predicted_ms,
        saved_ms: predicted_ms.map(|predicted_ms| measured_ms - predicted_ms),
    }
}

fn cold_read(newest: &Observed, speeds: Option<&Speeds>) -> ColdRead {
    let ms = |tokens: u64| speeds?.reading_ms(float(tokens)).map(whole);
    let predicted_prompt_tokens = newest.predicted_prompt_tokens();
    ColdRead {
        prompt_tokens: newest.prompt_tokens,
        predicted_prompt_tokens,
        ms: ms(newest.prompt_tokens),
        predicted_ms: ms(predicted_prompt_tokens),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn speeds(cache: CacheUse) -> Vec<ModelSpeeds> {
        let speeds = Speeds {
            read_tokens_per_second: Some(1000.0),
            write_tokens_per_second: None,
            cache,
            n_read: 5,
            n_write: 0,
            spread: None,
            source: None,
        };
        vec![ModelSpeeds { model: None, speeds }]
    }

    fn turn(prompt: u64, read: u64, removed: u64, simulated: Option<[u64; 2]>) -> Observed {
        Observed {
            model: None,
            prompt_tokens: prompt,
            read_tokens: read,
            removed_tokens: removed,
            simulated,
            wall_ms: read + 3_000,
            read_ms: read,
        }
    }

    /// The mean time with the change.
    fn ms(turn: &Observed, cache: CacheUse) -> f64 {
        predict(std::slice::from_ref(turn), &speeds(cache))[0].turns[0].predicted_ms.unwrap()
    }

    fn close(a: f64, b: f64) -> bool {
        (a - b).abs() < 1e-6
    }

    #[test]
    fn a_cold_turn_saves_what_its_removed_tokens_took() {
        let cold = turn(10_000, 10_000, 4_000, Some([0, 0]));
        assert!(close(ms(&cold, CacheUse::Reuses), 9_000.0));
        // Whatever the cache should have held: this one held nothing.
        let lost = turn(10_000, 10_000, 4_000, Some([9_000, 5_000]));
        assert!(close(ms(&lost, CacheUse::Reuses), 9_000.0));
        assert!(close(ms(&turn(10_000, 10_000, 4_000, None), CacheUse::ReadsAll), 9_000.0));
    }

    #[test]
    fn a_warm_turn_saves_nothing_by_fewer_tools() {
        let warm = turn(10_000, 1_000, 4_000, Some([9_000, 5_000]));
        assert!(close(ms(&warm, CacheUse::Reuses), 4_000.0));
    }

    #[test]
    fn a_cache_that_is_no_longer_broken_is_used_as_far_as_it_was_before() {
        let mended = turn(10_000, 10_000, 0, Some([0, 9_000]));
        assert!(close(ms(&mended, CacheUse::Reuses), 4_000.0));
        assert!(close(ms(&mended, CacheUse::ReadsAll), 13_000.0), "this backend reuses nothing");
    }

    #[test]
    fn no_more_is_saved_than_reading_took() {
        let fast = Observed { read_ms: 100, wall_ms: 3_100, ..turn(10_000, 10_000, 5_000, Some([0, 0])) };
        assert!(close(ms(&fast, CacheUse::Reuses), 3_050.0));
    }

    #[test]
    fn states_are_apart_and_together() {
        let turns = [turn(10_000, 10_000, 0, None), turn(10_000, 5_000, 0, None), turn(10_000, 500, 0, None)];
        let found = predict(&turns, &speeds(CacheUse::Reuses));
        let states: Vec<_> = found[0].turns.iter().map(|turns| (turns.state, turns.requests)).collect();
        let expected = [CacheState::Cold, CacheState::Partly, CacheState::Warm].map(|state| (state, 1));
        assert_eq!(states[..3], expected);
        assert_eq!(states[3], (CacheState::All, 3));
        assert!(predict(&turns, &[])[0].turns[0].predicted_ms.is_none(), "no speed, no time");
        assert_eq!(found[0].cold_read.as_ref().unwrap().ms, Some(10_000));
    }
}
