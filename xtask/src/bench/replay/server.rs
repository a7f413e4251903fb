//! The server that is fired at: nginx, kept to one core.

use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::twintap::on_core;

/// Its core; clients are kept to the other.
const CORE: &str = "1";

/// Bytes of each answer's body.
pub const BODY_BYTES: usize = 1024;

/// A running nginx that answers everything alike on two ports; ends on drop.
pub struct Server {
    child: Child,
    folder: PathBuf,
    /// Where it listens.
    pub addresses: [SocketAddr; 2],
}

impl Server {
    /// Starts it with its files in `folder`.
    pub fn start(folder: &Path) -> Result<Server> {
        let addresses = [free_address()?, free_address()?];
        let folder = folder.join("nginx");
        fs::create_dir_all(&folder)?;
        let configuration = folder.join("nginx.conf");
        fs::write(&configuration, configured(&folder, addresses))?;
        let child = on_core(CORE, "nginx")
            .arg("-p")
            .arg(&folder)
            .arg("-c")
            .arg(&configuration)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("the server is missing; type: apt-get install -y nginx-light")?;
        let mut server = Server {
            child,
            folder,
            addresses,
        };
        server.wait()?;
        Ok(server)
    }

    fn wait(&mut self) -> Result<()> {
        let deadline = Instant::now() + Duration::from_secs(10);
        while self
            .addresses
            .iter()
            .any(|address| TcpStream::connect(address).is_err())
        {
            if self.child.try_wait()?.is_some() || Instant::now() > deadline {
                let log = fs::read_to_string(self.folder.join("error.log")).unwrap_or_default();
                bail!("nginx does not listen (apt-get install -y nginx-light): {log}");
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Its worker ends with it on SIGTERM, and stays on SIGKILL.
        let pid = self.child.id().to_string();
        let _ = Command::new("kill").arg(pid).status();
        let _ = self.child.wait();
    }
}

/// The whole of every answer, apart from the date, as the capture has it.
pub fn answer() -> &'static [u8] {
    let head = "HTTP/1.1 200 OK\r\nServer: nginx\r\nDate: Mon, 01 Jan 2024 00:00:00 GMT\r\n\
                Content-Type: text/plain\r\nContent-Length: 1024\r\nConnection: keep-alive\r\n\r\n";
    Box::leak(format!("{head}{}", body()).into_bytes().into_boxed_slice())
}

fn body() -> String {
    "twintap ".repeat(BODY_BYTES / 8)
}

fn configured(folder: &Path, addresses: [SocketAddr; 2]) -> String {
    let folder = folder.display();
    let [first, second] = addresses;
    let body = body();
    format!(
        "daemon off;\nmaster_process off;\npid {folder}/pid;\nerror_log {folder}/error.log;\n\
         worker_rlimit_nofile 65536;\nevents {{ worker_connections 30000; }}\n\
         http {{\n access_log off;\n server_tokens off;\n default_type text/plain;\n\
         keepalive_requests 1000000000;\n keepalive_timeout 1h;\n\
         client_body_temp_path {folder}/1;\n proxy_temp_path {folder}/2;\n\
         fastcgi_temp_path {folder}/3;\n uwsgi_temp_path {folder}/4;\n scgi_temp_path {folder}/5;\n\
         server {{ listen {first} backlog=4096; listen {second} backlog=4096;\n\
         location / {{ return 200 \"{body}\"; }} }}\n}}\n"
    )
}

/// An address that nobody listens on now. Another program may take it before nginx does, which
/// then says so.
fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}
