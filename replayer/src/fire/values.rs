//! What a twin's answers gave for later requests to use.

use std::collections::{HashMap, HashSet};

use bytes::Bytes;
use smallvec::SmallVec;
use twintap_plan::Binding;
use twintap_scrub::Part;

use super::batches::{Batch, PerBatch};
use super::schedule::Timetable;
use super::wire::{Edit, Recorded, WireError};

/// The values of one twin's answers, each kept until its last user went out.
#[derive(Debug, Default)]
pub(crate) struct ValueStore {
    batches: PerBatch<Values>,
}

/// The values that requests of one batch use.
#[derive(Debug)]
struct Values {
    first: u32,
    /// For each producer in the order of the plan's `produces`.
    made: HashMap<u32, Vec<Option<Bytes>>>,
    users_left: Vec<u32>,
    /// Producers that were passed over, each until its last user is settled.
    lost: HashSet<u32>,
    /// The requests that went out without values that this twin should have given,
    /// and those that use their answers.
    unbound: HashSet<u32>,
    /// Of answers to requests of earlier batches.
    carried: HashMap<u32, CarriedValues>,
}

/// Values by the paths of their leaves; `None` when the request was not answered, or
/// too long ago.
pub(crate) type CarriedValues = Option<Vec<(String, Option<Bytes>)>>;

impl ValueStore {
    /// Takes up a batch.
    pub(crate) fn append(&mut self, table: &Timetable) {
        let users = (0..table.len()).map(|place| table.value_users(place as usize));
        let values = Values {
            first: table.first(),
            made: HashMap::new(),
            users_left: users.collect(),
            lost: HashSet::new(),
            unbound: HashSet::new(),
            carried: HashMap::new(),
        };
        self.batches.push(table.first(), table.len(), values);
    }

    /// Lets the earliest batch go.
    pub(crate) fn pop_front(&mut self) {
        self.batches.pop_front();
    }

    /// The request is not fired, so that nobody gets values of it.
    pub(crate) fn lose(&mut self, producer: u32) {
        if let Some((values, place)) = self.batches.get_mut(producer)
            && values.users_left[place] > 0
        {
            values.lost.insert(producer);
        }
    }

    /// Takes the values of an answer; what was there before it ended stays.
    pub(crate) fn put(&mut self, producer: u32, made: Vec<Option<Bytes>>) {
        if let Some((values, place)) = self.batches.get_mut(producer)
            && values.users_left[place] > 0
        {
            let early = values.made.insert(producer, made);
            let made = values.made.get_mut(&producer).into_iter().flatten();
            for (value, early) in made.zip(early.into_iter().flatten()) {
                if early.is_some() {
                    *value = early;
                }
            }
        }
    }

    /// Takes a value of an answer that goes on; says whether it is new.
    pub(crate) fn put_early(
        &mut self,
        batch: &Batch<'_>,
        producer: u32,
        path: &str,
        value: Bytes,
    ) -> bool {
        let produces = &batch.request(producer).produces;
        let number = produces.iter().position(|produced| *produced.path == *path);
        let Some((values, place)) = self.batches.get_mut(producer) else {
            return false;
        };
        let Some(number) = number.filter(|_| values.users_left[place] > 0) else {
            return false;
        };
        let made = values.made.entry(producer);
        let made = made.or_insert_with(|| vec![None; produces.len()]);
        match made.get_mut(number) {
            Some(known @ None) => {
                *known = Some(value);
                true
            }
            _ => false,
        }
    }

    /// Whether all values are there that a request uses of the producer's answer.
    pub(crate) fn has_all_of(&self, batch: &Batch<'_>, user: u32, producer: u32) -> bool {
        let bindings = batch.request(user).bindings.iter();
        let mut of_it = bindings.filter(|binding| binding.producer == producer);
        of_it.all(|binding| self.value(batch, user, binding).is_some())
    }

    /// Takes values of an answer to an earlier batch's request, for the batch that
    /// `first` is in.
    pub(crate) fn carry(&mut self, first: u32, producer: u32, carried: CarriedValues) {
        if let Some((values, _)) = self.batches.get_mut(first) {
            values.carried.insert(producer, carried);
        }
    }

    /// Whether a request uses values of one that was passed over, or that nobody
    /// remembers.
    pub(crate) fn has_lost(&self, batch: &Batch<'_>, position: u32) -> bool {
        let Some((values, _)) = self.batches.get(position) else {
            return false;
        };
        if values.lost.is_empty() && values.carried.is_empty() {
            return false;
        }
        let bindings = &batch.request(position).bindings;
        bindings.iter().any(|binding| {
            values.lost.contains(&binding.producer)
                || matches!(values.carried.get(&binding.producer), Some(None))
        })
    }

    /// The edits that put the twin's own values into a request, and the bindings
    /// whose values it has not given, or which have no place.
    ///
    /// # Errors
    /// [`WireError::Message`]: a message of gRPC would be broken by a value.
    pub(crate) fn edits<'b>(
        &self,
        batch: &'b Batch<'_>,
        position: u32,
        recorded: &Recorded,
    ) -> Result<(Vec<Edit>, Vec<&'b Binding>), WireError> {
        let bindings = &batch.request(position).bindings;
        let mut edits = Vec::with_capacity(bindings.len() + 2);
        let mut containers = Vec::new();
        let mut missing = Vec::new();
        for binding in bindings {
            let Some(value) = self.value(batch, position, binding) else {
                missing.push(binding);
                continue;
            };
            match twintap_scrub::split_path(&binding.path) {
                None if is_message(binding) && !twintap_scrub::is_framed(value) => {
                    return Err(WireError::Message);
                }
                None => edits.push(edit(binding, value)),
                Some((_, inside)) => put_inside(&mut containers, binding, inside, value),
            }
        }
        for container in containers {
            match container.edit(recorded) {
                Some(edit) => edits.push(edit),
                None if is_message(container.binding) => return Err(WireError::Message),
                None => missing.push(container.binding),
            }
        }
        Ok((edits, missing))
    }

    /// Notes that a request goes out without values that the twin should have given.
    pub(crate) fn mark_unbound(&mut self, position: u32) {
        if let Some((values, _)) = self.batches.get_mut(position) {
            values.unbound.insert(position);
        }
    }

    /// Whether a request went out so.
    pub(crate) fn is_unbound(&self, position: u32) -> bool {
        let values = self.batches.get(position);
        values.is_some_and(|(values, _)| values.unbound.contains(&position))
    }

    /// The request is out: what no other uses goes.
    pub(crate) fn used(&mut self, batch: &Batch<'_>, position: u32) {
        let bindings = &batch.request(position).bindings;
        if bindings.is_empty() {
            return;
        }
        let Some((values, user)) = self.batches.get_mut(position) else {
            return;
        };
        let mut producers: SmallVec<[u32; 4]> =
            bindings.iter().map(|binding| binding.producer).collect();
        producers.sort_unstable();
        producers.dedup();
        for producer in producers {
            let place = producer.wrapping_sub(values.first) as usize;
            if place >= user {
                continue;
            }
            let left = &mut values.users_left[place];
            *left = left.saturating_sub(1);
            if *left == 0 {
                values.made.remove(&producer);
                values.lost.remove(&producer);
            }
        }
    }

    fn value(&self, batch: &Batch<'_>, user: u32, binding: &Binding) -> Option<&Bytes> {
        let (values, _) = self.batches.get(user)?;
        if let Some(carried) = values.carried.get(&binding.producer) {
            let mut all = carried.as_ref()?.iter();
            let (_, value) = all.find(|(path, _)| **path == *binding.producer_path)?;
            return value.as_ref();
        }
        let place = binding.producer.wrapping_sub(values.first) as usize;
        let produces = &batch.requests.get(place)?.produces;
        let place = produces
            .iter()
            .position(|produced| produced.path == binding.producer_path)?;
        values.made.get(&binding.producer)?.get(place)?.as_ref()
    }
}

/// A value that others are put inside of: it can only be written anew as a whole.
struct Container<'p, 'v> {
    binding: &'p Binding,
    /// What the leaves inside are called there, and their new values.
    values: Vec<(&'p str, &'v [u8])>,
}

impl Container<'_, '_> {
    fn edit(&self, recorded: &Recorded) -> Option<Edit> {
        let part = match self.binding.part {
            Part::Target => &recorded.head.target,
            Part::Field(index) => &recorded.head.fields.get(index as usize)?.value,
            Part::Body => &recorded.body,
        };
        let start = self.binding.start as usize;
        let written = part.get(start..start.checked_add(self.binding.len as usize)?)?;
        let raw = twintap_scrub::decode(written, self.binding.encoding);
        let new = twintap_scrub::replace_inside(&raw, &self.values)?;
        Some(edit(self.binding, &new))
    }
}

/// True for a value that is, or lies in, a message of gRPC.
fn is_message(binding: &Binding) -> bool {
    binding.part == Part::Body && binding.path.starts_with("grpc.")
}

fn put_inside<'p, 'v>(
    containers: &mut Vec<Container<'p, 'v>>,
    binding: &'p Binding,
    inside: &'p str,
    value: &'v [u8],
) {
    let place = |binding: &Binding| (binding.part, binding.start, binding.len);
    let known = containers
        .iter_mut()
        .find(|container| place(container.binding) == place(binding));
    match known {
        Some(container) => container.values.push((inside, value)),
        None => containers.push(Container {
            binding,
            values: vec![(inside, value)],
        }),
    }
}

/// The edit that writes a raw value where a binding's stands.
fn edit(binding: &Binding, raw: &[u8]) -> Edit {
    let raw = twintap_scrub::fit(raw, binding.encoding);
    Edit {
        part: binding.part,
        start: binding.start,
        len: binding.len,
        value: Bytes::from(twintap_scrub::encode(&raw, binding.encoding)),
    }
}
