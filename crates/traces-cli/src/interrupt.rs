//! Signals. Ctrl-C ends the program with 130, and leaves neither a half-written file nor
//! a half-drawn line behind.
//!
//! `signal-hook` and not `ctrlc`, which runs its handler in a thread of its own, and
//! knows nothing of `SIGXFSZ`.

use std::process;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock};

use signal_hook::consts::SIGINT;
use signal_hook::flag;

use crate::exit::INTERRUPTED;

/// Whether Ctrl-C ends the program at once.
static AT_ONCE: LazyLock<Arc<AtomicBool>> = LazyLock::new(|| Arc::new(AtomicBool::new(true)));
/// Whether it was pressed.
static PRESSED: LazyLock<Arc<AtomicBool>> = LazyLock::new(Arc::default);

/// From here on Ctrl-C ends the program with 130, and a file that grows beyond the limit
/// (`ulimit -f`) is an error of writing: its signal would end the program before the
/// temporary file is removed.
pub(crate) fn watch() -> std::io::Result<()> {
    flag::register_conditional_shutdown(SIGINT, INTERRUPTED.into(), Arc::clone(&AT_ONCE))?;
    flag::register(SIGINT, Arc::clone(&PRESSED))?;
    #[cfg(unix)]
    flag::register(signal_hook::consts::SIGXFSZ, Arc::default())?;
    Ok(())
}

/// A flag that the first Ctrl-C sets from here on. The second ends the program.
pub(crate) fn stops() -> std::io::Result<Arc<AtomicBool>> {
    let stop = Arc::default();
    flag::register(SIGINT, Arc::clone(&stop))?;
    AT_ONCE.store(false, Ordering::SeqCst);
    flag::register(SIGINT, Arc::clone(&AT_ONCE))?;
    Ok(stop)
}

/// Does work that Ctrl-C is not meant for: a program in the foreground has its own way with
/// it.
pub(crate) fn held<T>(work: impl FnOnce() -> T) -> T {
    let at_once = AT_ONCE.swap(false, Ordering::SeqCst);
    let done = work();
    AT_ONCE.store(at_once, Ordering::SeqCst);
    done
}

/// A flag that Ctrl-C sets from here on, for work that is [`held`].
pub(crate) fn pressed_from_here() -> std::io::Result<Arc<AtomicBool>> {
    let pressed = Arc::default();
    flag::register(SIGINT, Arc::clone(&pressed))?;
    Ok(pressed)
}

/// Does work that Ctrl-C must not cut in two: it ends the program afterwards.
pub(crate) fn without_interrupt<T>(work: impl FnOnce() -> T) -> T {
    let pressed_before = is_pressed();
    let at_once = AT_ONCE.swap(false, Ordering::SeqCst);
    let done = work();
    if is_pressed() && !pressed_before {
        end();
    }
    AT_ONCE.store(at_once, Ordering::SeqCst);
    done
}

/// Whether Ctrl-C was pressed.
pub(crate) fn is_pressed() -> bool {
    PRESSED.load(Ordering::SeqCst)
}

/// Ends the program as interrupted.
pub(crate) fn end() -> ! {
    process::exit(INTERRUPTED.into())
}
