//! gRPC interfaces of Twintap and what is generated from them; no domain logic.

/// Version 1 of the interfaces: `Ingest` (agent to daemon) and `Control`.
pub mod v1 {
    #![expect(
        clippy::all,
        clippy::allow_attributes,
        clippy::allow_attributes_without_reason,
        reason = "generated code is not ours to style"
    )]

    include!("generated/twintap.v1.rs");
}
