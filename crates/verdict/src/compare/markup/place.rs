//! How places in documents are called: as selectors of CSS in HTML, as paths of XPath in XML.

use super::{Content, Dialect, Document, Element};

/// What stands between the steps of a selector.
const INSIDE: &str = " > ";
/// What stands before the word that a place comes after.
pub(crate) const AFTER: &str = " after \"";
/// The longest word that another one is told by.
const MOST_WORD: usize = 24;

/// A place in both documents.
#[derive(Default)]
pub(super) struct Place {
    pub(super) left: String,
    pub(super) right: String,
    /// Without what varies.
    pub(super) general: String,
}

impl Place {
    pub(super) fn lengths(&self) -> (usize, usize, usize) {
        (self.left.len(), self.right.len(), self.general.len())
    }

    pub(super) fn truncate(&mut self, (left, right, general): (usize, usize, usize)) {
        self.left.truncate(left);
        self.right.truncate(right);
        self.general.truncate(general);
    }

    /// Goes into an element of both documents.
    pub(super) fn enter(
        &mut self,
        (left, left_child): (&Document<'_>, usize),
        (right, right_child): (&Document<'_>, usize),
    ) {
        let separator = match left.dialect {
            Dialect::Html => INSIDE,
            Dialect::Xml => "/",
        };
        let steps = [
            (&mut self.left, left.exact_step(left_child)),
            (&mut self.right, right.exact_step(right_child)),
            (&mut self.general, left.general_step(left_child)),
        ];
        for (path, step) in steps {
            if !path.is_empty() || left.dialect == Dialect::Xml {
                path.push_str(separator);
            }
            path.push_str(&step);
        }
    }
}

impl Document<'_> {
    /// A step to an element that is told from its siblings by its number.
    fn exact_step(&self, node: usize) -> String {
        let Some(element) = self.element(node) else {
            return String::new();
        };
        match (self.dialect, self.nodes[node].number) {
            (_, None) => element.name.clone(),
            (Dialect::Html, Some(number)) => format!("{}:nth-child({number})", element.name),
            (Dialect::Xml, Some(number)) => format!("{}[{number}]", element.name),
        }
    }

    /// A step to all elements that are built in the same way.
    fn general_step(&self, node: usize) -> String {
        let Some(element) = self.element(node) else {
            return String::new();
        };
        let name = &element.name;
        if self.dialect == Dialect::Xml {
            return name.clone();
        }
        // Cells of one column are of one kind.
        if matches!(name.as_str(), "td" | "th")
            && let Some(number) = self.nodes[node].number
        {
            return format!("{name}:nth-child({number})");
        }
        let by = |attribute: &str| element.said(attribute);
        if let Some(field) = by("name").or_else(|| by("property")) {
            return format!("{name}[name={field}]");
        }
        if let Some(id) = by("id") {
            return format!("{name}#{id}");
        }
        match by("class") {
            Some(class) => format!("{name}.{class}"),
            None => name.clone(),
        }
    }

    /// The node that an exact path leads to.
    pub(super) fn find(&self, path: &str) -> Option<usize> {
        let path = path.split(AFTER).next().unwrap_or_default();
        let path = path.split('@').next().unwrap_or_default();
        let steps: Vec<&str> = match self.dialect {
            Dialect::Html => path.split(INSIDE).collect(),
            Dialect::Xml => path.split('/').collect(),
        };
        let mut node = 0;
        for step in steps.into_iter().filter(|step| !step.is_empty()) {
            let children = self.nodes[node].children.iter().copied();
            let found = children
                .filter(|child| self.element(*child).is_some())
                .find(|child| self.exact_step(*child) == step)?;
            node = found;
        }
        Some(node)
    }

    /// The value of an attribute, or the text of an element that has no more than that.
    pub(crate) fn value(&self, path: &str) -> Option<&str> {
        let node = self.find(path)?;
        match path.rsplit_once('@') {
            Some((_, name)) => {
                let attribute = self.element(node)?.attributes.get(name)?;
                Some(&attribute.text)
            }
            None => self.sole_text(node),
        }
    }

    /// The last word of the label before a node, if there is one: a text beside it, an
    /// element that is there for labels, or one whose text ends in a colon.
    pub(super) fn label(&self, node: usize) -> Option<&str> {
        let before = self.nodes[node].before?;
        let text = self.sole_text(before)?;
        let is_label = self.element(before).is_none_or(|element| {
            matches!(element.name.as_str(), "dt" | "th" | "label" | "legend") || text.ends_with(':')
        });
        label_in(text).filter(|_| is_label)
    }

    /// The text of a node that has no more than that.
    fn sole_text(&self, node: usize) -> Option<&str> {
        match (&self.nodes[node].content, &self.nodes[node].children[..]) {
            (Content::Text(text), _) => Some(&text.text),
            (Content::Element(_), [child]) => match &self.nodes[*child].content {
                Content::Text(text) => Some(&text.text),
                Content::Element(_) => None,
            },
            _ => None,
        }
    }
}

impl Element {
    /// The first word of an attribute, where it was given by a person.
    fn said(&self, attribute: &str) -> Option<&str> {
        let value = self.attributes.get(attribute)?;
        value.text.split(' ').find(|word| is_wordy(word))
    }
}

/// The word that ends a label: `Price` in `Price:`.
fn label_in(text: &str) -> Option<&str> {
    let trimmed = text.trim_end_matches(|char: char| !char.is_alphanumeric());
    let word = trimmed.rsplit(' ').next()?;
    is_wordy(word).then_some(word)
}

/// Whether people gave a word, and not a machine.
pub(crate) fn is_wordy(word: &str) -> bool {
    let is_letter = |char: char| char.is_alphabetic() || char == '-' || char == '_';
    !word.is_empty() && word.len() <= MOST_WORD && word.chars().all(is_letter)
}

/// A place that is told by the word before it.
pub(crate) fn after(place: &str, word: Option<&str>) -> String {
    match word.filter(|word| is_wordy(word)) {
        Some(word) => format!("{place}{AFTER}{word}\""),
        None => place.to_owned(),
    }
}

/// The place around one in a document; none around the document itself.
pub(crate) fn around(place: &str) -> Option<&str> {
    if let Some((around, _)) = place.split_once(AFTER) {
        return Some(around);
    }
    if let Some((around, _)) = place.rsplit_once('@') {
        return Some(around.strip_suffix('/').unwrap_or(around));
    }
    place.rsplit_once(INSIDE).map(|(around, _)| around)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_lie_in_others() {
        let mut place = "html > body > p after \"Price\"";
        let mut seen = Vec::new();
        while let Some(outer) = around(place) {
            seen.push(outer);
            place = outer;
        }
        assert_eq!(seen, ["html > body > p", "html > body", "html"]);
        assert_eq!(around("html > a@href"), Some("html > a"));
        assert_eq!(around("/order/@id"), Some("/order"));
    }

    #[test]
    fn words_of_people_tell_places() {
        assert_eq!(after("html > p", Some("Price")), "html > p after \"Price\"");
        assert_eq!(after("html > p", Some("12")), "html > p");
        assert_eq!(after("html > p", None), "html > p");
        assert_eq!(label_in("Total price: "), Some("price"));
        assert_eq!(label_in("Room 12"), None);
    }
}
