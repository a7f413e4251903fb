//! Values among the segments of a path, told by how many there are below one prefix.

use std::collections::{BTreeMap, BTreeSet};

use super::{Shape, VARIABLE};

/// With more names than this below one prefix, all are values.
const MOST_NAMES: usize = 64;
/// With more than this they are below the root, where the routes of a service branch, if
/// there are few requests of each, or if all have the same below them.
const MANY_NAMES: usize = 16;
/// Fewer requests than this for each name are few.
const FEW_REQUESTS: u64 = 8;
/// So many texts in one segment are values, where most of their siblings are.
const MANY_SLUGS: usize = 4;
/// Texts that begin so are routes: `get-user-profile`.
const VERBS: [&str; 16] = [
    "add", "cancel", "change", "check", "confirm", "create", "delete", "find", "get", "list",
    "remove", "reset", "search", "set", "update", "verify",
];

/// The templates of a run's shapes, each with its number of requests: below a prefix with many
/// names these become `{id}` too.
pub(crate) fn templates<'a>(
    shapes: impl IntoIterator<Item = (&'a Shape, u64)>,
) -> BTreeMap<&'a Shape, String> {
    let shapes: Vec<(&Shape, u64)> = shapes.into_iter().collect();
    let mut root = Node::default();
    for (shape, requests) in &shapes {
        if let Some((method, path)) = split(shape) {
            root.insert(method, path.split('/'), *requests);
        }
    }
    root.collapse(true);
    shapes
        .into_iter()
        .map(|(shape, _)| {
            let template = match split(shape) {
                None => shape.name.clone(),
                Some((method, path)) => {
                    let mut template = format!("{method} ");
                    root.write(path.split('/'), &mut template);
                    template
                }
            };
            (shape, template)
        })
        .collect()
}

/// Method and path of a shape whose segments may be values.
fn split(shape: &Shape) -> Option<(&str, &str)> {
    let (method, path) = shape.name.split_once(' ')?;
    let path = path.strip_prefix('/')?;
    (!shape.is_fixed).then_some((method, path))
}

/// Segments below a common prefix.
#[derive(Default)]
struct Node {
    children: BTreeMap<String, Node>,
    /// Methods of requests that end here.
    methods: BTreeSet<String>,
    /// Requests that end here or below.
    requests: u64,
}

impl Node {
    fn insert<'a>(&mut self, method: &str, segments: impl Iterator<Item = &'a str>, requests: u64) {
        let mut node = self;
        node.requests += requests;
        for segment in segments {
            node = node.children.entry(segment.to_owned()).or_default();
            node.requests += requests;
        }
        node.methods.insert(method.to_owned());
    }

    fn collapse(&mut self, is_root: bool) {
        let values: Vec<String> = match self.are_values(is_root) {
            Values::All => self.names().map(|(name, _)| name.clone()).collect(),
            Values::Slugs => self
                .names()
                .filter(|(name, _)| is_slug(name))
                .map(|(name, _)| name.clone())
                .collect(),
            Values::None => Vec::new(),
        };
        for name in values {
            if let Some(child) = self.children.remove(&name) {
                let variable = self.children.entry(VARIABLE.to_owned());
                variable.or_default().merge(child);
            }
        }
        for child in self.children.values_mut() {
            child.collapse(false);
        }
    }

    /// Children that are not known for values yet.
    fn names(&self) -> impl Iterator<Item = (&String, &Node)> {
        self.children
            .iter()
            .filter(|(name, _)| !name.starts_with(VARIABLE))
    }

    fn are_values(&self, is_root: bool) -> Values {
        let count = self.names().count();
        if count > MOST_NAMES {
            return Values::All;
        }
        if is_root {
            return Values::None;
        }
        let requests: u64 = self.names().map(|(_, child)| child.requests).sum();
        let are_few = requests < FEW_REQUESTS * count as u64;
        if count > MANY_NAMES && (are_few || self.are_alike(count)) {
            return Values::All;
        }
        let slugs = self.names().filter(|(name, _)| is_slug(name)).count();
        match slugs >= MANY_SLUGS && slugs * 4 >= count * 3 {
            true => Values::Slugs,
            false => Values::None,
        }
    }

    /// Whether nearly all names are asked for by the same methods and have the same below them.
    fn are_alike(&self, count: usize) -> bool {
        let mut ways: BTreeMap<(&BTreeSet<String>, Vec<&String>), usize> = BTreeMap::new();
        for (_, child) in self.names() {
            let way = (&child.methods, child.children.keys().collect());
            *ways.entry(way).or_default() += 1;
        }
        ways.values().any(|alike| alike * 10 >= count * 9)
    }

    fn merge(&mut self, other: Node) {
        self.requests += other.requests;
        self.methods.extend(other.methods);
        for (name, child) in other.children {
            self.children.entry(name).or_default().merge(child);
        }
    }

    fn write<'a>(&self, mut segments: impl Iterator<Item = &'a str>, out: &mut String) {
        let Some(segment) = segments.next() else {
            return;
        };
        out.push('/');
        let (name, child) = match self.children.get(segment) {
            Some(child) => (segment, Some(child)),
            None => (VARIABLE, self.children.get(VARIABLE)),
        };
        out.push_str(name);
        match child {
            Some(child) => child.write(segments, out),
            None => segments.for_each(|segment| {
                out.push('/');
                out.push_str(segment);
            }),
        }
    }
}

/// Which of the names below a prefix are values.
enum Values {
    All,
    Slugs,
    None,
}

/// Three words and more, none of which says what to do: `how-to-brew-tea`.
fn is_slug(segment: &str) -> bool {
    let stem = segment.split('.').next().unwrap_or_default();
    let mut words = stem.split(['-', '_']).filter(|word| !word.is_empty());
    let is_verb = words
        .next()
        .is_none_or(|first| VERBS.contains(&first.to_ascii_lowercase().as_str()));
    !is_verb && words.count() >= 2
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The templates of paths, each asked for so many times.
    fn distinct(paths: &[String], requests: u64) -> Vec<String> {
        let shapes: Vec<Shape> = paths
            .iter()
            .map(|path| Shape {
                name: path.clone(),
                is_fixed: false,
            })
            .collect();
        let templates = templates(shapes.iter().map(|shape| (shape, requests)));
        let distinct: BTreeSet<String> = templates.into_values().collect();
        distinct.into_iter().collect()
    }

    fn names(count: u8) -> impl Iterator<Item = String> {
        (0..count).map(|index| {
            let name = char::from(b'a' + index % 26);
            format!("{name}{name}{}", "x".repeat(usize::from(index)))
        })
    }

    #[test]
    fn many_names_below_a_prefix_are_values() {
        let mut paths: Vec<String> = names(40)
            .map(|name| format!("GET /tags/{name}/posts"))
            .collect();
        paths.extend(["GET /tags", "POST /login", "OPTIONS *"].map(str::to_owned));
        let expected = [
            "GET /tags",
            "GET /tags/{id}/posts",
            "OPTIONS *",
            "POST /login",
        ];
        assert_eq!(distinct(&paths, 1), expected);
        assert_eq!(distinct(&paths, 1000), expected);
    }

    #[test]
    fn routes_that_are_asked_for_often_and_differ_below_are_none() {
        let paths: Vec<String> = names(20)
            .enumerate()
            .map(|(index, name)| match index % 3 {
                0 => format!("POST /api/{name}"),
                1 => format!("GET /api/{name}/all"),
                _ => format!("GET /api/{name}"),
            })
            .collect();
        assert_eq!(distinct(&paths, 100).len(), 20);
        assert_eq!(distinct(&paths, 1).len(), 3);
    }

    #[test]
    fn a_few_texts_below_a_prefix_are_values_and_their_siblings_are_none() {
        let blog = |name: &str| format!("GET /blog/{name}");
        let paths = [
            "how-to-brew-tea",
            "why-we-like-milk",
            "the_best_of_2025",
            "a-cup-of-coffee",
            "archive",
        ]
        .map(blog);
        assert_eq!(
            distinct(&paths, 100),
            ["GET /blog/archive", "GET /blog/{id}"]
        );
        let paths = [
            "get-user-profile",
            "set-user-name",
            "list-user-orders",
            "reset-user-password",
        ]
        .map(|name| format!("POST /api/{name}"));
        assert_eq!(distinct(&paths, 100).len(), 4);
    }

    #[test]
    fn what_is_fixed_keeps_its_name() {
        let shapes: Vec<Shape> = names(80)
            .map(|name| Shape {
                name: format!("POST /shop.Cart/{name}"),
                is_fixed: true,
            })
            .collect();
        let templates = templates(shapes.iter().map(|shape| (shape, 1)));
        assert!(templates.iter().all(|(shape, name)| shape.name == *name));
    }
}
