//! Display names, as people have them.

use rand::Rng;
use rand::seq::IndexedRandom as _;

/// A name; about 15 in 100 have letters outside ASCII.
pub fn display_name(rng: &mut impl Rng) -> String {
    let (first, last) = if rng.random_bool(0.15) {
        (NON_ASCII_FIRST, NON_ASCII_LAST)
    } else {
        (FIRST, LAST)
    };
    // A slice literal is never empty, so there is always something to choose.
    let first = first.choose(rng).copied().unwrap_or_default();
    let last = last.choose(rng).copied().unwrap_or_default();
    format!("{first} {last}")
}

const FIRST: &[&str] = &[
    "Ada",
    "Alan",
    "Anna",
    "Barbara",
    "Carl",
    "Clara",
    "Dennis",
    "Edith",
    "Emma",
    "Frances",
    "Grace",
    "Hannah",
    "Ivan",
    "Jean",
    "John",
    "Karen",
    "Katherine",
    "Leslie",
    "Linus",
    "Margaret",
    "Mary",
    "Niklaus",
    "Oscar",
    "Peter",
    "Radia",
    "Robin",
    "Sophie",
    "Tim",
    "Ursula",
    "Victor",
];
const LAST: &[&str] = &[
    "Allen", "Becker", "Carter", "Dijkstra", "Evans", "Fischer", "Hamilton", "Hopper", "Iverson",
    "Johnson", "Keller", "Lamarr", "Lovelace", "Meyer", "Naur", "O'Brien", "Perlman", "Ritchie",
    "Schmidt", "Spencer", "Thompson", "Turing", "Vaughan", "Wirth", "Young",
];
const NON_ASCII_FIRST: &[&str] = &[
    "Zoë",
    "Jürgen",
    "Søren",
    "Łukasz",
    "François",
    "Ægir",
    "Nuño",
    "Ольга",
    "美咲",
    "Ἑλένη",
];
const NON_ASCII_LAST: &[&str] = &[
    "Müller",
    "Ångström",
    "Gödel",
    "Čapek",
    "Peña",
    "Erdős",
    "Ødegård",
    "Иванова",
    "佐藤",
    "Yıldız",
];

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;
    use rand::rngs::StdRng;

    use super::*;

    #[test]
    fn some_names_have_letters_outside_ascii() {
        let mut rng = StdRng::seed_from_u64(1);
        let odd = (0..1_000)
            .filter(|_| !display_name(&mut rng).is_ascii())
            .count();
        assert!((100..200).contains(&odd), "{odd}");
    }
}
