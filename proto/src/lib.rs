//! gRPC interfaces of Twintap and what is generated from them; no domain logic.

/// Version 1 of the interfaces: `Ingest` (agent to daemon) and `Control`.
pub mod v1 {
    #![expect(
        missing_docs,
        clippy::all,
        clippy::allow_attributes,
        clippy::allow_attributes_without_reason,
        reason = "generated from documented .proto files; its style is not ours"
    )]

    include!("generated/twintap.v1.rs");
}
