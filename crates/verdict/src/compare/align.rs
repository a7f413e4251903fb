//! Which parts of one list are which of another: elements of arrays, nodes of pages, lines.
//!
//! Equal ones are matched first, in order as far as order goes and then wherever they are;
//! then those that are most alike; then those that stand in the same place between equal ones.
//! So one part that comes, goes or changes makes no other one differ.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap, VecDeque};

use imara_diff::{Algorithm, Diff, Interner, Token};

/// With more unequal parts than this to compare each with each they are matched in order.
const MOST_COMPARED: usize = 1 << 12;
/// With more than this the shortest way from one to the other takes too long to find.
const MOST_MINIMAL: usize = 1 << 22;
/// Parts of which less than this share is equal are not the same one.
const LEAST_ALIKE: f64 = 0.5;

/// How two lists go together, as indices of both.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Alignment {
    /// Ascending on the left.
    pub(super) pairs: Vec<(usize, usize)>,
    pub(super) missing: Vec<usize>,
    pub(super) added: Vec<usize>,
    /// True where parts that are the same, or nearly so, stand in another order.
    pub(super) is_reordered: bool,
}

/// What a list is to be aligned by.
pub(super) trait Parts {
    /// Equal for equal parts.
    fn keys(&self) -> &[u64];

    /// What a part holds, as digests: the more two parts share, the more alike they are.
    fn holds(&self, index: usize) -> Vec<u64>;

    /// Equal for parts that may be the same one, changed.
    fn sort(&self, index: usize) -> u64;
}

/// Aligns two lists, whose order may say something or not.
pub(super) fn align(left: &impl Parts, right: &impl Parts, has_order: bool) -> Alignment {
    let mut matching = Matching {
        partner: vec![None; left.keys().len()],
        is_taken: vec![false; right.keys().len()],
    };
    in_order(left.keys(), right.keys(), &mut matching);
    let gaps = match has_order {
        true => matching.gaps(),
        false => (vec![0; left.keys().len()], vec![0; right.keys().len()]),
    };
    wherever(left.keys(), right.keys(), &mut matching);
    alike(left, right, &mut matching);
    let is_reordered = has_order && matching.is_reordered();
    rest(left, right, &gaps, &mut matching);
    let pairs = matching.partner.iter().enumerate();
    Alignment {
        pairs: pairs
            .filter_map(|(index, partner)| Some((index, (*partner)?)))
            .collect(),
        missing: matching.free_left(),
        added: matching.free_right(),
        is_reordered,
    }
}

/// Each part with that at the same index.
pub(super) fn by_index(left: usize, right: usize) -> Alignment {
    let both = left.min(right);
    Alignment {
        pairs: (0..both).map(|index| (index, index)).collect(),
        missing: (both..left).collect(),
        added: (both..right).collect(),
        is_reordered: false,
    }
}

struct Matching {
    partner: Vec<Option<usize>>,
    is_taken: Vec<bool>,
}

impl Matching {
    fn join(&mut self, left: usize, right: usize) {
        self.partner[left] = Some(right);
        self.is_taken[right] = true;
    }

    fn free_left(&self) -> Vec<usize> {
        let free = |index: &usize| self.partner[*index].is_none();
        (0..self.partner.len()).filter(free).collect()
    }

    fn free_right(&self) -> Vec<usize> {
        let free = |index: &usize| !self.is_taken[*index];
        (0..self.is_taken.len()).filter(free).collect()
    }

    /// Of each part of both lists how many that are joined stand before it.
    fn gaps(&self) -> (Vec<usize>, Vec<usize>) {
        let count = |joined: &mut dyn Iterator<Item = bool>| {
            joined
                .scan(0, |before, is_joined| {
                    *before += usize::from(is_joined);
                    Some(*before)
                })
                .collect()
        };
        (
            count(&mut self.partner.iter().map(Option::is_some)),
            count(&mut self.is_taken.iter().copied()),
        )
    }

    fn is_reordered(&self) -> bool {
        let partners: Vec<usize> = self.partner.iter().copied().flatten().collect();
        partners.windows(2).any(|pair| pair[0] > pair[1])
    }
}

/// Joins equal parts that stand in the same order, as many as can be.
fn in_order(left: &[u64], right: &[u64], matching: &mut Matching) {
    let mut interner = Interner::new(left.len() + right.len());
    let left: Vec<Token> = left.iter().map(|key| interner.intern(*key)).collect();
    let right: Vec<Token> = right.iter().map(|key| interner.intern(*key)).collect();
    let algorithm = match left.len().saturating_mul(right.len()) {
        0..=MOST_MINIMAL => Algorithm::MyersMinimal,
        _ => Algorithm::Myers,
    };
    let mut diff = Diff::default();
    diff.compute_with(algorithm, &left, &right, interner.num_tokens());
    // A list is no longer than a body, which is far below 4 GiB.
    let kept = |count: usize, is_changed: &dyn Fn(u32) -> bool| -> Vec<usize> {
        (0..count)
            .filter(|index| !is_changed(u32::try_from(*index).unwrap_or(u32::MAX)))
            .collect()
    };
    let from = kept(left.len(), &|index| diff.is_removed(index));
    let to = kept(right.len(), &|index| diff.is_added(index));
    for (one, other) in from.into_iter().zip(to) {
        matching.join(one, other);
    }
}

/// Joins equal parts that are left.
fn wherever(left: &[u64], right: &[u64], matching: &mut Matching) {
    let mut free: HashMap<u64, VecDeque<usize>> = HashMap::new();
    for index in matching.free_right() {
        free.entry(right[index]).or_default().push_back(index);
    }
    for index in matching.free_left() {
        if let Some(found) = free.get_mut(&left[index]).and_then(VecDeque::pop_front) {
            matching.join(index, found);
        }
    }
}

/// Joins parts that are left, the most alike first, and of those the closest.
fn alike(left: &impl Parts, right: &impl Parts, matching: &mut Matching) {
    let (free_left, free_right) = (matching.free_left(), matching.free_right());
    let count = free_left.len() * free_right.len();
    if count == 0 || count > MOST_COMPARED {
        return;
    }
    let held = |parts: &dyn Fn(usize) -> Vec<u64>, index: usize| {
        let mut held = parts(index);
        held.sort_unstable();
        held
    };
    let right_holds: Vec<Vec<u64>> = free_right
        .iter()
        .map(|index| held(&|index| right.holds(index), *index))
        .collect();
    let mut pairs = Vec::new();
    for (place, one) in free_left.iter().enumerate() {
        let holds = held(&|index| left.holds(index), *one);
        for (other_place, other) in free_right.iter().enumerate() {
            if left.sort(*one) != right.sort(*other) {
                continue;
            }
            let share = shared(&holds, &right_holds[other_place]);
            if share >= LEAST_ALIKE {
                // A share is at most 1.
                let thousandths = (share * 1000.0) as u32;
                let distance = place.abs_diff(other_place);
                pairs.push((Reverse(thousandths), distance, *one, *other));
            }
        }
    }
    pairs.sort_unstable();
    for (_, _, one, other) in pairs {
        if matching.partner[one].is_none() && !matching.is_taken[other] {
            matching.join(one, other);
        }
    }
}

/// What two sorted lists have in common, as a share of both (Dice).
fn shared(left: &[u64], right: &[u64]) -> f64 {
    let (mut one, mut other, mut both) = (0, 0, 0_usize);
    while one < left.len() && other < right.len() {
        match left[one].cmp(&right[other]) {
            std::cmp::Ordering::Less => one += 1,
            std::cmp::Ordering::Greater => other += 1,
            std::cmp::Ordering::Equal => {
                both += 1;
                one += 1;
                other += 1;
            }
        }
    }
    2.0 * both as f64 / (left.len() + right.len()).max(1) as f64
}

/// Joins what is left of each sort and gap in its order.
fn rest(
    left: &impl Parts,
    right: &impl Parts,
    (left_gaps, right_gaps): &(Vec<usize>, Vec<usize>),
    matching: &mut Matching,
) {
    let mut free: BTreeMap<(usize, u64), VecDeque<usize>> = BTreeMap::new();
    for index in matching.free_right() {
        let place = (right_gaps[index], right.sort(index));
        free.entry(place).or_default().push_back(index);
    }
    for index in matching.free_left() {
        let place = (left_gaps[index], left.sort(index));
        let found = free.get_mut(&place);
        if let Some(other) = found.and_then(VecDeque::pop_front) {
            matching.join(index, other);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Words, of which the letters are what they hold.
    struct Words(Vec<&'static str>, Vec<u64>);

    fn words(text: &'static str) -> Words {
        let words: Vec<&str> = text.split_whitespace().collect();
        let keys = words.iter().map(|word| crate::roles::text_hash(word));
        Words(words.clone(), keys.collect())
    }

    impl Parts for Words {
        fn keys(&self) -> &[u64] {
            &self.1
        }

        fn holds(&self, index: usize) -> Vec<u64> {
            self.0[index].bytes().map(u64::from).collect()
        }

        fn sort(&self, index: usize) -> u64 {
            u64::from(self.0[index].bytes().all(|byte| byte.is_ascii_digit()))
        }
    }

    #[track_caller]
    fn check(left: &'static str, right: &'static str, expected: &str) {
        let (left, right) = (words(left), words(right));
        let found = align(&left, &right, true);
        let mut said: Vec<String> = found
            .pairs
            .iter()
            .filter(|(one, other)| left.0[*one] != right.0[*other])
            .map(|(one, other)| format!("{}={}", left.0[*one], right.0[*other]))
            .collect();
        said.extend(
            found
                .missing
                .iter()
                .map(|index| format!("-{}", left.0[*index])),
        );
        said.extend(
            found
                .added
                .iter()
                .map(|index| format!("+{}", right.0[*index])),
        );
        said.extend(found.is_reordered.then(|| "reordered".to_owned()));
        assert_eq!(said.join(" "), expected);
    }

    #[test]
    fn parts_that_come_and_go_move_no_others() {
        check("a b c", "a b c", "");
        check("a b c", "x a b c", "+x");
        check("a b c d", "b c d e", "-a +e");
        check("a b c", "a x c", "b=x");
        check("a b c d", "b c d", "-a");
        check("", "a", "+a");
        check("a b a b", "a b a b a", "+a");
    }

    #[test]
    fn order_is_told_from_change() {
        check("a b c", "c a b", "reordered");
        check("abcd efgh", "efgh abcx", "abcd=abcx reordered");
        check("abcd efgh ijkl", "xyz abce efgh ijkl", "abcd=abce +xyz");
        check("abcd 12", "34 efgh", "abcd=efgh 12=34");
        check("abcd", "12", "-abcd +12");
    }

    #[test]
    fn long_lists_are_aligned_too() {
        let long: Vec<u64> = (0..5000).collect();
        let mut moved: Vec<u64> = (1..5000).collect();
        moved.push(9999);
        struct Keys(Vec<u64>);
        impl Parts for Keys {
            fn keys(&self) -> &[u64] {
                &self.0
            }

            fn holds(&self, _: usize) -> Vec<u64> {
                Vec::new()
            }

            fn sort(&self, _: usize) -> u64 {
                0
            }
        }
        let found = align(&Keys(long), &Keys(moved), true);
        assert_eq!(found.pairs[0], (1, 0));
        assert!(!found.is_reordered);
    }
}
