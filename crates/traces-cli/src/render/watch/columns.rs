//! What stands before the bars of the last requests. On a narrow terminal columns are left
//! out, so that no word is cut.

use crate::render::sanitize;
use crate::render::table::{cut, width_of};

/// Names of models are cut to this.
const MODEL_WIDTH: usize = 22;

/// The widths of the columns.
#[derive(Debug, Clone, Copy)]
pub(super) struct RowColumns {
    stamp: usize,
    /// `None` where names of models are left out.
    model: Option<usize>,
    gap: &'static str,
}

impl RowColumns {
    /// Those that leave so much room for what stands behind them; the narrowest where none do.
    pub(super) fn fitting(width: usize, room: usize) -> Self {
        let whole = Self { stamp: 8, model: Some(MODEL_WIDTH.min(width / 4)), gap: "  " };
        let without_models = Self { model: None, ..whole };
        let narrow = Self { stamp: 5, gap: " ", ..without_models };
        let has_room = |columns: &Self| width >= width_of(&columns.row("  ", "", "", "")) + room;
        [whole, without_models].into_iter().find(has_room).unwrap_or(narrow)
    }

    /// A row, up to its bar. Of a time of day the seconds are left out where it is too wide.
    pub(super) fn row(self, mark: &str, stamp: &str, model: &str, wait: &str) -> String {
        let Self { stamp: width, model: model_width, gap } = self;
        let stamp = stamp.get(..width).unwrap_or(stamp);
        let model = model_width.map(|width| {
            let model = cut(&sanitize::line(model), width).into_owned();
            let pad = width.saturating_sub(width_of(&model));
            format!("{model}{}  ", " ".repeat(pad))
        });
        format!("{mark}{stamp:<width$}{gap}{}{wait:>8}  ", model.unwrap_or_default())
    }
}
