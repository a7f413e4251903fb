//! What reports look like, for programs.

use schemars::generate::SchemaSettings;
use serde_json::Value;

use crate::report::Report;

/// The JSON Schema (draft 2020-12) of `report.json`. docs/report.schema.json is this; after a
/// change `UPDATE_EXPECT=1 cargo test -p twintap-verdict --test judge schema` writes it anew.
#[must_use]
pub fn report_schema() -> Value {
    let settings = SchemaSettings::draft2020_12().for_serialize();
    settings
        .into_generator()
        .into_root_schema_for::<Report>()
        .to_value()
}
