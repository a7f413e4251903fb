//! XML to a document (XML 1.0, fifth edition; Namespaces in XML 1.0).

use roxmltree::{Document, ParsingOptions};

use super::{Builder, MOST_NODES};

/// Reads a document.
pub(super) fn read(text: &str, builder: &mut Builder<'_>) -> Option<()> {
    let options = ParsingOptions {
        nodes_limit: u32::try_from(MOST_NODES).unwrap_or(u32::MAX),
        ..ParsingOptions::default()
    };
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let document = Document::parse_with_options(text, options).ok()?;
    let mut next = Some(document.root_element());
    while let Some(node) = next {
        if node.is_element() {
            let space = node.tag_name().namespace().unwrap_or_default();
            let attributes = node.attributes().map(|attribute| {
                let name = match attribute.namespace() {
                    Some(space) => format!("{{{space}}}{}", attribute.name()),
                    None => attribute.name().to_owned(),
                };
                (name, attribute.value().to_owned())
            });
            builder.open(
                node.tag_name().name().to_owned(),
                space.to_owned(),
                attributes,
            )?;
            if let Some(child) = node.first_child() {
                next = Some(child);
                continue;
            }
            builder.close();
        } else if node.is_text() {
            builder.text(node.text().unwrap_or_default());
        }
        // The next one that begins, and what ends before it.
        let mut ended = node;
        next = loop {
            if let Some(sibling) = ended
                .next_sibling()
                .filter(|_| ended.parent_element().is_some())
            {
                break Some(sibling);
            }
            match ended.parent_element() {
                Some(parent) => {
                    builder.close();
                    ended = parent;
                }
                None => break None,
            }
        };
    }
    Some(())
}
