//! Colours, or none. One switch decides for a whole stream, so that a log file never sees a control code.

use std::fmt::{self, Display};

/// What `--color` may say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum ColorChoice {
    /// Colours on a terminal, unless `NO_COLOR` is set or `TERM` is `dumb`.
    #[default]
    Auto,
    /// Colours, whatever the environment says.
    Always,
    /// No colours.
    Never,
}

/// Puts colours around text, or leaves it alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Paint {
    on: bool,
}

/// What a piece of text is; its colour follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Good: passed, expected.
    Good,
    /// Bad: failed, got.
    Bad,
    /// In between: broken, a fault.
    Odd,
    /// Skipped, and what else deserves a second look.
    Skipped,
    /// A heading.
    Head,
    /// A place in a file.
    Place,
    /// Less important than its surroundings.
    Faint,
}

impl Paint {
    /// Never any colour.
    pub const OFF: Self = Self { on: false };

    /// Always colours.
    pub const ON: Self = Self { on: true };

    /// Decides for a stream. `--color` wins over `NO_COLOR` (no-color.org), which wins over what the stream is.
    #[must_use]
    pub fn choose(choice: ColorChoice, stream_is_terminal: bool) -> Self {
        let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self::decide(choice, stream_is_terminal && !terminal_is_dumb(), no_color)
    }

    /// Whether this one puts colours.
    #[must_use]
    pub const fn is_on(self) -> bool {
        self.on
    }

    /// `text` in the colour of `role`.
    pub fn paint<T: Display>(self, role: Role, text: T) -> Painted<T> {
        Painted { code: self.on.then(|| role.code()), text }
    }

    fn decide(choice: ColorChoice, able_terminal: bool, no_color: bool) -> Self {
        let on = match choice {
            ColorChoice::Always => true,
            ColorChoice::Never => false,
            ColorChoice::Auto => able_terminal && !no_color,
        };
        Self { on }
    }
}

/// Whether `TERM` says that the terminal can neither colour nor move its cursor.
#[must_use]
pub fn terminal_is_dumb() -> bool {
    std::env::var_os("TERM").is_some_and(|term| term == "dumb")
}

/// Text with its colour; honours width and alignment of the format.
#[derive(Clone, Copy, Debug)]
pub struct Painted<T> {
    code: Option<&'static str>,
    text: T,
}

impl<T: Display> Display for Painted<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(code) = self.code else {
            return self.text.fmt(f);
        };
        write!(f, "\x1b[{code}m")?;
        self.text.fmt(f)?;
        f.write_str("\x1b[0m")
    }
}

impl Role {
    /// Select Graphic Rendition parameters (ECMA-48 8.3.117); the sixteen base colours follow the reader's own palette.
    const fn code(self) -> &'static str {
        match self {
            Self::Good => "32",
            Self::Bad => "1;31",
            Self::Odd => "35",
            Self::Skipped => "33",
            Self::Head => "1",
            Self::Place => "36",
            Self::Faint => "2",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn auto_colours_an_able_terminal_unless_no_color_is_set() {
        assert!(Paint::decide(ColorChoice::Auto, true, false).is_on());
        assert!(!Paint::decide(ColorChoice::Auto, true, true).is_on());
        assert!(!Paint::decide(ColorChoice::Auto, false, false).is_on());
    }

    #[test]
    fn the_command_line_wins_over_the_environment() {
        assert!(Paint::decide(ColorChoice::Always, false, true).is_on());
        assert!(!Paint::decide(ColorChoice::Never, true, false).is_on());
    }

    #[test]
    fn without_colour_the_text_is_untouched_and_alignment_works_in_both() {
        assert_eq!(format!("[{:>7}]", Paint::OFF.paint(Role::Bad, "FAILED")), "[ FAILED]");
        assert_eq!(format!("[{:>7}]", Paint::ON.paint(Role::Bad, "FAILED")), "[\x1b[1;31m FAILED\x1b[0m]");
    }
}
