//! The committed generated code is what the .proto files generate.
//!
//! `TWINTAP_CODEGEN=write` writes it (`cargo xtask codegen` does that).

use std::path::Path;

const GENERATED: &str = "twintap.v1.rs";

#[test]
fn generated_code_is_current() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let files = protox::compile(
        ["twintap/v1/ingest.proto", "twintap/v1/control.proto"],
        [root.join("proto")],
    )
    .expect("the .proto files compile");
    let out = tempfile::tempdir().expect("a temporary directory");
    tonic_prost_build::configure()
        .out_dir(out.path())
        .bytes(".twintap.v1")
        .emit_rerun_if_changed(false)
        .compile_fds(files)
        .expect("code generation");
    let fresh = std::fs::read_to_string(out.path().join(GENERATED)).expect("generated code");
    let committed = root.join("src/generated").join(GENERATED);
    if std::env::var("TWINTAP_CODEGEN").as_deref() == Ok("write") {
        std::fs::write(&committed, &fresh).expect("write generated code");
    }
    let current = std::fs::read_to_string(&committed).unwrap_or_default();
    assert!(
        current == fresh,
        "{} is not what the .proto files generate: run `cargo xtask codegen`",
        committed.display()
    );
}
