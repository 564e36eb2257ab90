//! Shows a file in the browser of the desktop.

use std::path::Path;

use anyhow::{Context as _, bail};

/// Opens a file that we wrote. What opens it gets its path as one argument, through no shell.
pub(crate) fn open(file: &Path) -> anyhow::Result<()> {
    // An absolute path is neither an option nor the address of a page elsewhere.
    let file = std::path::absolute(file).with_context(|| format!("cannot open {}", file.display()))?;
    if !has_desktop(|name| std::env::var_os(name).is_some_and(|value| !value.is_empty())) {
        bail!(
            "cannot show {}: there is no desktop here (DISPLAY and WAYLAND_DISPLAY are not set). The page is \
             written: open it in a browser, or copy it to a computer that has one",
            file.display()
        );
    }
    open::that_detached(&file).with_context(|| {
        format!("cannot show {}: the page is written, open it in a browser yourself", file.display())
    })
}

/// Whether a window can be opened, by what is set in the environment. Only Unix without a
/// desktop of its own says that there; below Windows the desktop is that of Windows.
fn has_desktop(is_set: impl Fn(&str) -> bool) -> bool {
    let asks = cfg!(all(unix, not(target_os = "macos")));
    !asks || ["DISPLAY", "WAYLAND_DISPLAY", "WSL_DISTRO_NAME"].into_iter().any(is_set)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(all(unix, not(target_os = "macos")))]
    #[test]
    fn a_desktop_is_told_by_the_environment() {
        assert!(!has_desktop(|_| false));
        assert!(has_desktop(|name| name == "WAYLAND_DISPLAY"));
        assert!(has_desktop(|name| name == "WSL_DISTRO_NAME"));
    }
}
