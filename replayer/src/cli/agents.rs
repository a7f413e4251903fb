//! `twintap ctl agents`: which agents capture, and the switch that ends that.

use std::time::Duration;

use anyhow::{Result, bail};
use clap::Subcommand;
use serde_json::json;
use tokio::time::{Instant, sleep};
use tonic::transport::Channel;
use twintap_proto::v1::control_client::ControlClient;
use twintap_proto::v1::{Agent, AgentsRequest, ListAgentsRequest};

use super::ctl::{Format, answer, print};

/// How long agents that are connected have to do what they are told.
const PATIENCE: Duration = Duration::from_secs(10);
const LOOK_EVERY: Duration = Duration::from_millis(50);

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Option<Action>,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Make agents capture nothing, those to come included, until `resume`; it ends once those
    /// that are connected have said that they do.
    Pause {
        /// One node alone.
        #[arg(long)]
        node: Option<String>,
    },
    /// Let agents capture again.
    Resume {
        /// One node alone.
        #[arg(long)]
        node: Option<String>,
    },
}

/// Lists the agents, or steers them and lists them then.
pub async fn run(client: &mut ControlClient<Channel>, format: Format, args: Args) -> Result<()> {
    let agents = match args.action {
        None => list(client).await?,
        Some(Action::Pause { node }) => {
            answer(client.pause_agents(request(node)).await)?;
            obeyed(client).await?
        }
        Some(Action::Resume { node }) => {
            answer(client.resume_agents(request(node)).await)?;
            obeyed(client).await?
        }
    };
    for agent in &agents {
        print_agent(format, agent)?;
    }
    Ok(())
}

fn request(node: Option<String>) -> AgentsRequest {
    AgentsRequest {
        node: node.unwrap_or_default(),
    }
}

async fn list(client: &mut ControlClient<Channel>) -> Result<Vec<Agent>> {
    Ok(answer(client.list_agents(ListAgentsRequest {}).await)?.agents)
}

/// The agents, once all that are connected have said that they do as they are told.
async fn obeyed(client: &mut ControlClient<Channel>) -> Result<Vec<Agent>> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let agents = list(client).await?;
        let late = |agent: &&Agent| agent.connected && agent.paused != agent.pause_wanted;
        let Some(late) = agents.iter().find(late) else {
            return Ok(agents);
        };
        if Instant::now() > deadline {
            bail!(
                "the agent of {} was told and has not said that it did it; see its log",
                late.node
            );
        }
        sleep(LOOK_EVERY).await;
    }
}

fn print_agent(format: Format, agent: &Agent) -> Result<()> {
    let boot = format!("{:016x}", agent.boot);
    let state = match (agent.paused, agent.pause_wanted) {
        (true, true) => "paused",
        (false, false) => "capturing",
        (false, true) => "to be paused",
        (true, false) => "to be resumed",
    };
    let value = json!({
        "node": agent.node, "boot": boot, "connected": agent.connected, "paused": agent.paused,
        "pause_wanted": agent.pause_wanted, "flows": agent.flows,
        "stop_orders": agent.stop_orders, "headers_only_orders": agent.headers_only_orders,
    });
    let text = format!(
        "{}  {boot}  {}  {state}  {} flows  orders: {} stop, {} headers only",
        agent.node,
        if agent.connected {
            "connected"
        } else {
            "not connected"
        },
        agent.flows,
        agent.stop_orders,
        agent.headers_only_orders,
    );
    print(format, &value, &text)
}
