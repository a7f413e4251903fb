//! Whether the palette can be read, light and dark (WCAG 2.2, success criteria 1.4.3 and
//! 1.4.11).

use std::collections::BTreeMap;

const STYLE: &str = include_str!("style.css");
/// Text on its ground.
const TEXT: f64 = 4.5;
/// Lines of drawings on theirs.
const LINES: f64 = 3.0;

/// Which colour of text stands on which ground.
const TEXTS: [(&str, &str); 16] = [
    ("ink", "paper"),
    ("ink", "raised"),
    ("ink", "code"),
    ("ink", "mark"),
    ("soft", "paper"),
    ("soft", "raised"),
    ("soft", "code"),
    ("open", "paper"),
    ("open", "raised"),
    ("baseline", "raised"),
    ("candidate", "raised"),
    ("baseline", "paper"),
    ("candidate", "paper"),
    ("on-verdict", "pass"),
    ("on-verdict", "fail"),
    ("on-verdict", "inconclusive"),
];

const DRAWN: [(&str, &str); 4] = [
    ("baseline", "raised"),
    ("candidate", "raised"),
    ("good", "paper"),
    ("candidate", "paper"),
];

#[test]
fn everything_can_be_read_by_light_and_by_dark() {
    let light = colours(STYLE);
    let (_, dark) = STYLE
        .split_once("@media (prefers-color-scheme: dark)")
        .expect("there is a dark palette");
    let mut at_night = light.clone();
    at_night.extend(colours(dark));
    for (scheme, palette) in [("light", light), ("dark", at_night)] {
        let bars = TEXTS.map(|pair| (pair, TEXT)).into_iter();
        for ((ink, ground), bar) in bars.chain(DRAWN.map(|pair| (pair, LINES))) {
            let found = contrast(palette[ink], palette[ground]);
            assert!(found >= bar, "{scheme}: {ink} on {ground} is {found:.2}");
        }
    }
}

#[test]
fn contrast_is_as_the_standard_says() {
    let [black, white] = [[0.0; 3], [255.0; 3]];
    assert!((contrast(black, white) - 21.0).abs() < 1e-9);
    assert!((contrast(white, [118.0; 3]) - 4.54).abs() < 0.01);
}

/// The colours of the first rule for `:root`, as red, green and blue from 0 to 255.
fn colours(style: &str) -> BTreeMap<&str, [f64; 3]> {
    let (_, rule) = style.split_once(":root {").expect("there is a palette");
    let (rule, _) = rule.split_once('}').expect("it ends");
    let lines = rule.lines().filter_map(|line| {
        let (name, value) = line.trim().strip_prefix("--")?.split_once(": #")?;
        let digits = value.strip_suffix(';')?;
        let part = |at: usize| u8::from_str_radix(digits.get(at..at + 2)?, 16).ok();
        let parts = [part(0)?, part(2)?, part(4)?];
        Some((name, parts.map(f64::from)))
    });
    lines.collect()
}

fn contrast(one: [f64; 3], other: [f64; 3]) -> f64 {
    let (one, other) = (luminance(one), luminance(other));
    (one.max(other) + 0.05) / (one.min(other) + 0.05)
}

fn luminance(colour: [f64; 3]) -> f64 {
    let [red, green, blue] = colour.map(|part| {
        let part = part / 255.0;
        match part <= 0.04045 {
            true => part / 12.92,
            false => ((part + 0.055) / 1.055).powf(2.4),
        }
    });
    0.2126 * red + 0.7152 * green + 0.0722 * blue
}
