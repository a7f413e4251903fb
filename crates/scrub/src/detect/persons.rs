//! Names and street addresses: by the field's name, a form of address, or a short list.
//!
//! This finds few of those in running text: names that are on no list and stand
//! without a form of address, streets without a house number, addresses of most
//! countries. What is found is a hint; safety comes from replacing what no rule allows.

use std::ops::Range;

use super::topics::Topic;
use super::{Evidence, Kind, Search};

/// Given names that are hardly anything else, of several languages.
pub(super) const GIVEN_NAMES: &[&str] = &[
    "Adam",
    "Agnieszka",
    "Ahmed",
    "Alejandro",
    "Alexander",
    "Alexandra",
    "Alice",
    "Amanda",
    "Andrea",
    "Andrew",
    "Angela",
    "Anita",
    "Anna",
    "Anne",
    "Anthony",
    "Antonio",
    "Barbara",
    "Benjamin",
    "Brian",
    "Carlos",
    "Carmen",
    "Caroline",
    "Catherine",
    "Charles",
    "Charlotte",
    "Chiara",
    "Christian",
    "Christina",
    "Christine",
    "Christopher",
    "Claudia",
    "Daniel",
    "David",
    "Deborah",
    "Dennis",
    "Diana",
    "Dorothy",
    "Edward",
    "Elena",
    "Elizabeth",
    "Emily",
    "Emma",
    "Eric",
    "Fatima",
    "Fernando",
    "Francesca",
    "Francesco",
    "Frank",
    "Gabriel",
    "George",
    "Giovanni",
    "Giulia",
    "Giuseppe",
    "Gregory",
    "Hannah",
    "Hans",
    "Heather",
    "Helen",
    "Henry",
    "Ingrid",
    "Isabella",
    "Ivan",
    "Jack",
    "Jacob",
    "James",
    "Jane",
    "Jason",
    "Jean",
    "Jennifer",
    "Jessica",
    "Johannes",
    "John",
    "Jonathan",
    "Jose",
    "Joseph",
    "Joshua",
    "Juan",
    "Julia",
    "Julie",
    "Karen",
    "Katarzyna",
    "Katherine",
    "Kevin",
    "Klaus",
    "Krzysztof",
    "Laura",
    "Lauren",
    "Linda",
    "Lisa",
    "Luca",
    "Lucas",
    "Luis",
    "Magdalena",
    "Manuel",
    "Marco",
    "Margaret",
    "Maria",
    "Marie",
    "Martin",
    "Mary",
    "Matthew",
    "Melissa",
    "Michael",
    "Michelle",
    "Miguel",
    "Mohamed",
    "Mohammed",
    "Monika",
    "Muhammad",
    "Nancy",
    "Nicholas",
    "Nicole",
    "Olga",
    "Oliver",
    "Olivia",
    "Pablo",
    "Pamela",
    "Patricia",
    "Patrick",
    "Paul",
    "Paula",
    "Pedro",
    "Peter",
    "Philip",
    "Pierre",
    "Priya",
    "Rachel",
    "Rebecca",
    "Richard",
    "Robert",
    "Ronald",
    "Ryan",
    "Samantha",
    "Samuel",
    "Sandra",
    "Sarah",
    "Sebastian",
    "Sergei",
    "Sharon",
    "Sofia",
    "Sophie",
    "Stefan",
    "Stephanie",
    "Stephen",
    "Steven",
    "Susan",
    "Svetlana",
    "Thomas",
    "Timothy",
    "Tomasz",
    "Victoria",
    "Vincent",
    "Virginia",
    "Vladimir",
    "William",
    "Wolfgang",
    "Yusuf",
];

/// What is said of persons.
const SPOKEN: &[Topic] = &[Topic::FullName, Topic::Name, Topic::Street];

/// A form of address or a given name, and the capitalised words after it.
pub(super) fn person(search: &mut Search<'_>, span: Range<usize>) -> Option<usize> {
    let text = search.text;
    let head = &text[span.clone()];
    let is_addressed = !GIVEN_NAMES.contains(&head);
    // Of `Mr. S` the person begins with the last letter.
    let start = if is_addressed {
        span.end - 1
    } else {
        span.start
    };
    let mut end = start;
    let mut count = 0;
    for word in text[start..].split(' ').take(4) {
        let letters = word.trim_end_matches(|c: char| !c.is_alphabetic());
        let is_name = letters.starts_with(char::is_uppercase)
            && letters
                .chars()
                .all(|c| c.is_alphabetic() || "'’.-".contains(c));
        if !is_name {
            break;
        }
        count += 1;
        end += usize::from(count > 1) + letters.len();
        // A full stop ends an initial, and anything else the name.
        let is_initial = letters.chars().count() == 1 && word.len() == letters.len() + 1;
        if is_initial {
            end += 1;
        } else if letters.len() != word.len() {
            break;
        }
    }
    if end == start {
        return None;
    }
    let weight = match (is_addressed, count) {
        (true, _) => 70,
        (false, 1) => 50,
        (false, _) => 60,
    };
    search.weigh(
        start..end,
        Evidence::form(Kind::PersonName, "given name or form of address", weight).about(SPOKEN),
    )
}

/// House number and street.
pub(super) fn street(search: &mut Search<'_>, span: Range<usize>) -> Option<usize> {
    search.weigh(
        span,
        Evidence::form(Kind::StreetAddress, "house number and street", 60).about(SPOKEN),
    )
}

/// A whole value under a name that says person or street.
pub(super) fn by_name(search: &mut Search<'_>) {
    let text = search.text;
    let letters = text.chars().filter(|c| c.is_alphabetic()).count();
    let words = text.split_whitespace().count();
    if text.len() > 120 || letters < 2 || !(1..=10).contains(&words) {
        return;
    }
    let has_digit = text.bytes().any(|byte| byte.is_ascii_digit());
    let is_spoken = |c: char| c.is_alphabetic() || c.is_whitespace() || "'’.,-".contains(c);
    let kind = if search.name.has(Topic::Street) && has_digit && words > 1 && !text.contains('@') {
        Kind::StreetAddress
    } else if search.name.has(Topic::FullName) && words <= 5 && text.chars().all(is_spoken) {
        Kind::PersonName
    } else {
        return;
    };
    search.weigh(
        0..text.len(),
        Evidence::form(kind, "any value", 40).about(SPOKEN),
    );
}
