//! What an order costs, in cents.

use serde::Serialize;

/// The tax on every order, in percent of its net price.
pub const TAX_PERCENT: i64 = 19;
/// The discount on large orders, in thousandths of the subtotal.
pub const DISCOUNT_PERMILLE: i64 = 25;
/// The subtotal from which the discount is given, in cents.
pub const DISCOUNT_FROM_CENTS: i64 = 5_000;

/// The price of a cart or an order and its parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Totals {
    /// The sum of all lines.
    pub subtotal_cents: i64,
    /// What is taken off the subtotal.
    pub discount_cents: i64,
    /// The tax on what remains.
    pub tax_cents: i64,
    /// What the buyer pays.
    pub total_cents: i64,
}

impl Totals {
    /// The price of lines that sum up to `subtotal_cents`, each part rounded half up.
    #[must_use]
    pub fn of(subtotal_cents: i64) -> Self {
        let discount_cents = if subtotal_cents >= DISCOUNT_FROM_CENTS {
            rounded(subtotal_cents * DISCOUNT_PERMILLE, 1_000)
        } else {
            0
        };
        let net_cents = subtotal_cents - discount_cents;
        let tax_cents = rounded(net_cents * TAX_PERCENT, 100);
        Self {
            subtotal_cents,
            discount_cents,
            tax_cents,
            total_cents: net_cents + tax_cents,
        }
    }

    /// The same price with the total rounded down: a cent too little for about half of all carts.
    #[must_use]
    pub fn with_total_rounded_down(self) -> Self {
        let net_cents = self.subtotal_cents - self.discount_cents;
        Self {
            total_cents: net_cents * (100 + TAX_PERCENT) / 100,
            ..self
        }
    }
}

/// `numerator / denominator`, both positive, rounded half up.
fn rounded(numerator: i64, denominator: i64) -> i64 {
    (numerator + denominator / 2) / denominator
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_discount_starts_at_its_threshold() {
        assert_eq!(Totals::of(4_999).discount_cents, 0);
        assert_eq!(Totals::of(5_000).discount_cents, 125);
        assert_eq!(Totals::of(0).total_cents, 0);
    }

    #[test]
    fn rounding_down_shows_on_some_totals_only() {
        // 19 % of 1.00 is exact; of 1.03 it is 19.57 cents.
        let exact = Totals::of(100);
        assert_eq!(exact.with_total_rounded_down(), exact);
        let inexact = Totals::of(103);
        assert_eq!(inexact.total_cents, 123);
        assert_eq!(inexact.with_total_rounded_down().total_cents, 122);
        let wrong = (1..10_000)
            .map(Totals::of)
            .filter(|totals| totals.with_total_rounded_down() != *totals)
            .count();
        assert!((4_000..6_000).contains(&wrong), "{wrong}");
    }
}
