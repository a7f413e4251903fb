//! Display names, as people have them.

use rand::Rng;
use rand::seq::IndexedRandom as _;

/// A name; about 15 in 100 have letters outside ASCII.
pub fn display_name(rng: &mut impl Rng) -> String {
    if rng.random_bool(0.15) {
        one_of(NON_ASCII_FIRST, NON_ASCII_LAST, rng)
    } else {
        one_of(FIRST, LAST, rng)
    }
}

/// A name that somebody takes: as often as not one that programs stumble over, with letters
/// outside ASCII or with a quote, so that even a short drive has some of each.
pub fn changed_name(rng: &mut impl Rng) -> String {
    match rng.random_range(0..4) {
        0 => one_of(NON_ASCII_FIRST, NON_ASCII_LAST, rng),
        1 => one_of(FIRST, QUOTED_LAST, rng),
        _ => display_name(rng),
    }
}

fn one_of(first: &[&str], last: &[&str], rng: &mut impl Rng) -> String {
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
const QUOTED_LAST: &[&str] = &["D'Angelo", "L'Hôpital", "O'Brien", "O'Neill"];
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

    #[test]
    fn many_taken_names_are_odd() {
        let mut rng = StdRng::seed_from_u64(1);
        let names: Vec<String> = (0..1_000).map(|_| changed_name(&mut rng)).collect();
        let count = |is_odd: fn(&&String) -> bool| names.iter().filter(is_odd).count();
        let (quoted, foreign) = (
            count(|name| name.contains('\'')),
            count(|name| !name.is_ascii()),
        );
        assert!((200..350).contains(&quoted), "{quoted}");
        assert!((300..500).contains(&foreign), "{foreign}");
    }
}
