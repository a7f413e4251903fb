//! The two programs.

use std::process::{Command, Output, Stdio};

use serde_json::Value;
use twintap_shop::regressions::Regressions;
use twintap_shop::{ProcessError, ShopConfig, ShopProcess, StateAt};

fn start(config: &ShopConfig) -> ShopProcess {
    let mut command = Command::new(env!("CARGO_BIN_EXE_twintap-shop"));
    command.args(config.to_args());
    ShopProcess::start(command).expect("the shop starts")
}

fn drive(shop: &ShopProcess) -> Output {
    Command::new(env!("CARGO_BIN_EXE_twintap-shop-driver"))
        .args(["--users=20", "--accounts=20", "--journeys=2"])
        .args(["--think-ms=0..5", "--concurrency=8", "--summary=json"])
        .arg(format!("--target={}", shop.addr()))
        .output()
        .expect("the driver runs")
}

fn summary(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).expect("the summary is JSON")
}

#[test]
fn a_drive_at_production_succeeds_and_its_state_is_kept() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = ShopConfig {
        state: StateAt::File(folder.path().join("shop.db")),
        accounts: 20,
        ..ShopConfig::default()
    };
    let shop = start(&config);
    let output = drive(&shop);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(summary(&output)["unexpected"], 0);
    drop(shop);

    // The newcomers of the first drive are known, so they can't register again.
    let shop = start(&config);
    let output = drive(&shop);
    assert_eq!(output.status.code(), Some(1));
    assert!(summary(&output)["endpoints"]["POST /accounts"]["409"].is_u64());
}

#[test]
fn a_drive_at_a_candidate_fails() {
    let config = ShopConfig {
        accounts: 20,
        regressions: Regressions::all(),
        ..ShopConfig::default()
    };
    let shop = start(&config);
    let output = drive(&shop);
    assert_eq!(output.status.code(), Some(1));
    assert!(summary(&output)["endpoints"]["PUT /profile"]["500"].is_u64());
}

#[test]
fn a_shop_that_does_not_come_up_says_so() {
    let config = ShopConfig {
        state: StateAt::File("/nowhere/at/all.db".into()),
        accounts: 1,
        ..ShopConfig::default()
    };
    let mut command = Command::new(env!("CARGO_BIN_EXE_twintap-shop"));
    command.args(config.to_args()).stderr(Stdio::null());
    let refused = ShopProcess::start(command);
    assert!(matches!(refused, Err(ProcessError::NotReady(_))));
}
