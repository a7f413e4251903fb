//! The results of an SQL command, as they are read.

use super::json::{Budget, Json};
use super::table::Told;
use crate::command::{ColumnForm, ReplyHead};

/// All results of a command.
pub(crate) struct Results<'a> {
    /// What is known of the reply otherwise.
    pub head: &'a ReplyHead,
    told: Told,
    budget: Budget,
    done: Vec<Json>,
    open: Option<Open>,
}

/// A result that is not over.
#[derive(Default)]
struct Open {
    /// Names, each once.
    names: Vec<String>,
    has_columns: bool,
    rows: Vec<Json>,
    copied: Vec<Json>,
}

/// What the end of a result says.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct End<'a> {
    pub tag: Option<&'a [u8]>,
    pub affected: Option<u64>,
    pub last_insert_id: Option<u64>,
    pub parameters: Option<u64>,
    /// More rows are to be had.
    pub is_suspended: bool,
}

impl<'a> Results<'a> {
    /// Those of the statement, where it is known.
    pub fn new(head: &'a ReplyHead, statement: Option<Told>, budget: Budget) -> Results<'a> {
        Results {
            head,
            told: statement.unwrap_or_default(),
            budget,
            done: Vec::new(),
            open: None,
        }
    }

    pub fn budget(&mut self) -> &mut Budget {
        &mut self.budget
    }

    pub fn is_stopped(&self) -> bool {
        self.budget.is_stopped()
    }

    /// How the columns of the reply are written, where only what came before it tells.
    pub fn forms(&self) -> &'a [ColumnForm] {
        &self.head.forms
    }

    /// A result begins, with columns of these names.
    pub fn begin(&mut self, names: Vec<String>) {
        self.settle();
        for name in &names {
            self.budget.take(name.len());
        }
        let names = names.into_iter().zip(1..);
        let names = names.map(|(name, number)| self.told.column(name, number));
        self.open = Some(Open {
            names: unique(names.collect()),
            has_columns: true,
            ..Open::default()
        });
    }

    /// A row, whose values are in the order of the columns.
    pub fn row(&mut self, values: Vec<Json>) {
        self.budget.row();
        let open = match &mut self.open {
            Some(open) => open,
            None => {
                self.begin(self.head.columns.clone());
                self.open.get_or_insert_default()
            }
        };
        for index in open.names.len()..values.len() {
            open.names.push(format!("column{}", index + 1));
        }
        for name in &open.names {
            self.budget.take(name.len());
        }
        // A row that there is no room for whole is none.
        if !self.budget.is_stopped() {
            let row = open.names.iter().cloned().zip(values);
            open.rows.push(Json::Object(row.collect()));
        }
    }

    /// Copy data.
    pub fn copied(&mut self, data: &[u8]) {
        self.budget.row();
        let text = self.budget.text(data);
        if !self.budget.is_stopped() {
            self.open.get_or_insert_default().copied.push(text);
        }
    }

    /// The result is over.
    pub fn end(&mut self, end: End<'_>) {
        let open = self.open.take().unwrap_or_default();
        let mut members = Vec::new();
        if let Some(table) = &self.told.table {
            members.push(("table".to_owned(), Json::Text(table.clone())));
        }
        if open.has_columns {
            let names = open.names.iter();
            let names = names.map(|name| Json::Text(name.clone())).collect();
            members.push(("columns".to_owned(), Json::List(names)));
            members.push(("rows".to_owned(), Json::List(open.rows)));
            if self.told.is_unordered {
                members.push(("unordered".to_owned(), Json::Bool(true)));
            }
        }
        if !open.copied.is_empty() {
            members.push(("copy".to_owned(), Json::List(open.copied)));
        }
        if let Some(tag) = end.tag {
            members.push(("tag".to_owned(), self.budget.text(tag)));
        }
        let numbers = [
            ("affected", end.affected),
            ("last_insert_id", end.last_insert_id),
            ("parameters", end.parameters),
        ];
        for (name, number) in numbers {
            let number = number.map(|number| Json::Number(number.into()));
            members.extend(number.map(|number| (name.to_owned(), number)));
        }
        if end.is_suspended {
            members.push(("suspended".to_owned(), Json::Bool(true)));
        }
        self.done.push(Json::Object(members));
    }

    /// All results, and whether something was left out.
    pub fn finish(mut self) -> (Vec<Json>, bool) {
        self.settle();
        (self.done, self.budget.is_over())
    }

    /// Ends a result whose end was not told.
    fn settle(&mut self) {
        if self.open.is_some() {
            self.end(End::default());
        }
    }
}

/// The names, with `#2` and so on after those that were there before.
fn unique(names: Vec<String>) -> Vec<String> {
    let mut seen = std::collections::HashSet::new();
    let unique = |name: String| {
        if seen.insert(name.clone()) {
            return name;
        }
        let mut numbered = (2..).map(|number: u32| format!("{name}#{number}"));
        // There are more numbers than columns.
        let free = numbered.find(|name| seen.insert(name.clone()));
        free.unwrap_or(name)
    };
    names.into_iter().map(unique).collect()
}
