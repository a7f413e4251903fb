//! Numbers for people.

/// With a thin space between thousands.
pub(super) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() * 2);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push('\u{202f}');
        }
        out.push(digit);
    }
    out
}

/// Milliseconds with as many digits as matter.
pub(super) fn ms(ms: f64) -> String {
    if ms >= 100.0 {
        format!("{ms:.0}")
    } else if ms >= 10.0 {
        format!("{ms:.1}")
    } else {
        format!("{ms:.2}")
    }
}

/// Microseconds, in the unit that fits.
pub(super) fn duration_us(us: f64) -> String {
    if us >= 1_000_000.0 {
        format!("{:.2} s", us / 1_000_000.0)
    } else if us >= 10_000.0 {
        format!("{:.0} ms", us / 1000.0)
    } else if us >= 1000.0 {
        format!("{:.1} ms", us / 1000.0)
    } else {
        format!("{us:.0} µs")
    }
}

/// A chance, with the digits that matter.
pub(super) fn chance(chance: f64) -> String {
    match chance {
        small if small < 0.001 => "< 0.001".to_owned(),
        small if small < 0.1 => format!("{small:.3}"),
        _ => format!("{chance:.2}"),
    }
}

/// 1 of something, or more of them.
pub(super) fn plural(number: u64, noun: &str) -> String {
    match number {
        1 => format!("1 {noun}"),
        _ => format!("{} {noun}s", count(number)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_stand_apart() {
        assert_eq!(count(0), "0");
        assert_eq!(count(999), "999");
        assert_eq!(count(1_234_567), "1\u{202f}234\u{202f}567");
    }

    #[test]
    fn units_fit() {
        assert_eq!(duration_us(12.4), "12 µs");
        assert_eq!(duration_us(1_234.0), "1.2 ms");
        assert_eq!(duration_us(40_000.0), "40 ms");
        assert_eq!(duration_us(2_500_000.0), "2.50 s");
        assert_eq!(ms(4.321), "4.32");
        assert_eq!(ms(43.21), "43.2");
        assert_eq!(ms(432.1), "432");
        assert_eq!([0.5, 0.02, 1e-9].map(chance), ["0.50", "0.020", "< 0.001"]);
    }
}
