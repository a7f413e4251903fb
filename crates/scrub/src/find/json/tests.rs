//! What values are called, held to a walk over the same tree that learns nothing.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use proptest::prelude::*;

use super::*;
use crate::class::Class;
use crate::names;
use crate::policy::{Policy, View, Views};

/// A text before it is written.
#[derive(Clone, Debug)]
enum Tree {
    Text(String),
    Number(u32),
    Array(Vec<Tree>),
    /// Names as they are, and whether each is written in escapes.
    Object(Vec<(String, bool, Tree)>),
}

fn tree() -> impl Strategy<Value = Tree> {
    let leaf = prop_oneof![
        "[a-b\"\\\\é]{0,3}".prop_map(Tree::Text),
        any::<u32>().prop_map(Tree::Number),
    ];
    leaf.prop_recursive(4, 60, 6, |inner| {
        // Few names, so that they come again in the same order, in another, and twice.
        let name = prop_oneof![
            6 => "[a-c]",
            2 => "[a-b~/]{0,2}",
            1 => "ada@shop\\.example|bob@shop\\.example|\\PC",
        ];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Tree::Array),
            prop::collection::vec((name, any::<bool>(), inner), 0..6).prop_map(Tree::Object),
        ]
    })
}

fn written(text: &str, in_escapes: bool) -> String {
    match in_escapes {
        true => text
            .encode_utf16()
            .map(|unit| format!("\\u{unit:04x}"))
            .collect(),
        false => String::from_utf8(encoding::encode(text.as_bytes(), Encoding::JsonString))
            .unwrap_or_default(),
    }
}

impl Tree {
    fn write(&self, out: &mut String) {
        match self {
            Tree::Text(text) => *out += &format!("\"{}\"", written(text, false)),
            Tree::Number(number) => *out += &number.to_string(),
            Tree::Array(elements) => {
                out.push('[');
                for (index, element) in elements.iter().enumerate() {
                    *out += if index > 0 { ", " } else { "" };
                    element.write(out);
                }
                out.push(']');
            }
            Tree::Object(members) => {
                out.push('{');
                for (index, (name, in_escapes, value)) in members.iter().enumerate() {
                    let comma = if index > 0 { ",\n" } else { "" };
                    *out += &format!("{comma}\"{}\":", written(name, *in_escapes));
                    value.write(out);
                }
                out.push('}');
            }
        }
    }

    /// Path, place, name and raw value of each value, by the rules and nothing else.
    fn values(&self, path: &str, place: &str, name: &str, out: &mut Vec<[String; 4]>) {
        let mut leaf = |raw: String| out.push([path, place, name, &raw].map(str::to_owned));
        match self {
            Tree::Text(text) => leaf(text.clone()),
            Tree::Number(number) => leaf(number.to_string()),
            Tree::Array(elements) => {
                for (index, element) in elements.iter().enumerate() {
                    let path = format!("{path}/{index}");
                    element.values(&path, &format!("{place}/*"), name, out);
                }
            }
            Tree::Object(members) => {
                let mut seen: HashMap<&str, u32> = HashMap::new();
                for (own, _, value) in members {
                    let token = own.replace('~', "~0").replace('/', "~1");
                    let is_name = own.is_empty() || names::is_structural(own);
                    let (step, place, name) = match is_name {
                        true => (token.clone(), format!("{place}/{token}"), &*token),
                        false => (format!("<{token}>"), format!("{place}/*"), name),
                    };
                    let count = seen.entry(own).or_default();
                    let path = match *count {
                        0 => format!("{path}/{step}"),
                        count => format!("{path}/{step}#{count}"),
                    };
                    *count += 1;
                    value.values(&path, &place, name, out);
                }
            }
        }
    }
}

/// Notes what it sees, and asks the rules of each place both ways.
struct Notes<'a> {
    src: &'a [u8],
    view: &'a View,
    seen: Vec<[String; 4]>,
}

impl Visit for Notes<'_> {
    fn odd_name(&mut self, name: &str, _: Range<usize>, _: Encoding) -> Option<String> {
        Some(format!("<{name}>"))
    }

    fn leaf(&mut self, found: Found<'_>) {
        let raw = String::from_utf8_lossy(&found.raw(self.src)).into_owned();
        let texts = [found.path, found.place, found.name, &raw];
        self.seen.push(texts.map(str::to_owned));
        let class = || Class::Text;
        let kept = found.ruled.map(|ruled| {
            let (place, name) = (found.place, found.name);
            self.view.decide_at(place, name, ruled, class)
        });
        let asked = self.view.decide(found.place, found.name, class);
        assert_eq!(kept, Some(asked), "{}", found.place);
    }
}

const RULES: &str = "
version: 1
rules:
- {at: [json./a], do: allow}
- {at: ['json./*/a/**'], do: replace}
- {at: ['json.**/*/*'], names: [b], do: drop_body}
- {names: [c], do: allow}
";

proptest! {
    #[test]
    fn strings_end_where_a_search_says(
        before in prop::collection::vec(any::<u8>(), 0..50),
        after in "[a\"\\\\!#\\[\\]]{0,50}",
    ) {
        for text in [&before[..], after.as_bytes(), &[&before, after.as_bytes()].concat()] {
            prop_assert_eq!(end_or_escape(text), memchr::memchr2(b'"', b'\\', text));
        }
    }

    #[test]
    fn values_are_called_as_by_a_walk(tree in tree()) {
        static VIEW: LazyLock<Arc<View>> = LazyLock::new(|| {
            let policy = Policy::from_yaml(RULES, "test").unwrap();
            Views::new(Arc::new(policy)).of(None)
        });
        let mut text = String::new();
        tree.write(&mut text);
        let mut expected = Vec::new();
        tree.values("json.", "json.", "", &mut expected);
        let mut notes = Notes {
            src: text.as_bytes(),
            view: &VIEW,
            seen: Vec::new(),
        };
        prop_assert_eq!(find(text.as_bytes(), false, &mut notes), Ok(()));
        prop_assert_eq!(notes.seen, expected, "{}", text);
    }
}
