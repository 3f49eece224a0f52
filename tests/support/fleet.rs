//! Several machines: networks of their own with addresses of their own, a PostgreSQL in one, and the
//! pretend issuer and backend on every loopback, as the real ones are everywhere.

use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::process::Command;
use std::sync::mpsc;
use std::thread;
use std::{io, panic};

use codex_accounts::rehearse::Script;
use nix::sched::{CloneFlags, setns, unshare};
use nix::unistd::gettid;
use serde_json::Value;
use tokio::io::copy_bidirectional;
use tokio::net::TcpStream;
use tokio::runtime::{self, Runtime};

use super::Home;
use super::postgres::{Helper, Postgres};
use super::pretend::Servers;

/// Where the database is.
const DATABASE: Ipv4Addr = Ipv4Addr::new(10, 9, 0, 20);

/// See the module. To be made in a network of the test's own.
pub(crate) struct Fleet {
    pub(crate) pretend: Servers,
    pub(crate) postgres: Postgres,
    /// Where the accounts are.
    pub(crate) url: String,
    pub(crate) hosts: Vec<Host>,
    database: Network,
    _ways: Runtime,
}

/// A machine: a home, in a network.
pub(crate) struct Host {
    pub(crate) home: Home,
    pub(crate) network: Network,
}

/// A network of one machine, at the switch of all.
pub(crate) struct Network {
    name: &'static str,
    handle: File,
}

impl Fleet {
    /// Three machines, whose store has these accounts.
    pub(crate) fn new(script: Script, settings: &[&str]) -> Fleet {
        Fleet::with(script, settings, Home::new, |_| {})
    }

    /// The same with homes of this kind, and a store that is changed before it is put there.
    pub(crate) fn with(
        script: Script,
        settings: &[&str],
        home: impl Fn() -> Home,
        change: impl FnOnce(&mut Value),
    ) -> Fleet {
        ip("link add switch type bridge");
        ip("link set switch up");
        let database = Network::new("database", DATABASE);
        let postgres = database.enter(|| Postgres::start_at(DATABASE, settings));
        let name = database.enter(|| postgres.migrated());
        let url = postgres.url(&name);

        let mut first = home();
        let pretend = first.with_servers(script);
        let mut document = first.store();
        change(&mut document);
        fs::remove_file(first.store_path()).expect("the file goes");
        let put = |document: &str| Helper::new(&first, &url).put(document);
        assert_eq!(
            database.enter(|| put(&document.to_string()))["ok"],
            "commit"
        );

        let mut homes = vec![first];
        homes.resize_with(3, home);
        let ways = runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let names = ["laptop", "server", "runner"].into_iter().zip(11..);
        let hosts = homes
            .into_iter()
            .zip(names)
            .map(|(mut home, (name, number))| {
                home.use_servers(&pretend);
                home.set("CODEX_ACCOUNTS_FILE", &url);
                let network = Network::new(name, Ipv4Addr::new(10, 9, 0, number));
                lead(&ways, &network, &pretend.issuer());
                Host { home, network }
            });
        let hosts = hosts.collect();
        Fleet {
            hosts,
            pretend,
            postgres,
            url,
            database,
            _ways: ways,
        }
    }

    /// Takes the database from the network, or gives it back.
    pub(crate) fn cut_database(&self, is_cut: bool) {
        self.database.cut(is_cut);
    }

    /// The document.
    pub(crate) fn document(&self) -> Value {
        let read = self
            .database
            .enter(|| Helper::new(&self.hosts[0].home, &self.url).read());
        let text = read["document"]
            .as_str()
            .unwrap_or_else(|| panic!("{read}"));
        serde_json::from_str(text).expect("a document of JSON")
    }
}

/// Lets an address of loopback lead to the same one of this network.
fn lead(ways: &Runtime, network: &Network, url: &str) {
    let address: SocketAddr = url
        .trim_start_matches("http://")
        .parse()
        .expect("an address");
    let listener = network
        .enter(|| TcpListener::bind(address))
        .expect("a port of its own");
    listener.set_nonblocking(true).expect("a listener");
    ways.spawn(async move {
        let listener = tokio::net::TcpListener::from_std(listener)?;
        loop {
            let (mut client, _) = listener.accept().await?;
            tokio::spawn(async move {
                let mut server = TcpStream::connect(address).await?;
                copy_bidirectional(&mut client, &mut server).await
            });
        }
        #[expect(unreachable_code, reason = "it says what can go wrong above")]
        io::Result::Ok(())
    });
}

impl Host {
    /// Runs a line of shell there.
    pub(crate) fn sh(&self, script: &str) -> super::shown::Shown {
        self.network.enter(|| self.home.sh(script))
    }
}

impl Network {
    fn new(name: &'static str, address: Ipv4Addr) -> Network {
        let (send, receive) = mpsc::channel();
        let (end, ended) = mpsc::channel::<()>();
        // A network is a thread's; it stays as long as somebody has it open.
        let thread = thread::spawn(move || {
            unshare(CloneFlags::CLONE_NEWNET).expect("a network: be root");
            let handle = File::open("/proc/thread-self/ns/net").expect("its handle");
            send.send((handle, gettid())).expect("the test waits");
            let _ = ended.recv();
        });
        let (handle, thread_id) = receive.recv().expect("a network");
        ip(&format!(
            "link add {name} type veth peer name eth0 netns {thread_id}"
        ));
        ip(&format!("link set {name} master switch up"));
        drop(end);
        thread.join().expect("its end");
        let network = Network { name, handle };
        network.enter(|| {
            ip("link set lo up");
            ip(&format!("address add {address}/24 dev eth0"));
            ip("link set eth0 up");
        });
        network
    }

    /// Does something in it; so do the processes that this starts.
    pub(crate) fn enter<T: Send>(&self, act: impl FnOnce() -> T + Send) -> T {
        let end = thread::scope(|scope| {
            let thread = scope.spawn(|| {
                setns(&self.handle, CloneFlags::CLONE_NEWNET).expect("to be there");
                act()
            });
            thread.join()
        });
        end.unwrap_or_else(|panic| panic::resume_unwind(panic))
    }

    /// Takes it from the switch, or brings it back.
    pub(crate) fn cut(&self, is_cut: bool) {
        let how = if is_cut { "down" } else { "up" };
        ip(&format!("link set {} {how}", self.name));
    }
}

fn ip(arguments: &str) {
    let output = Command::new("ip").args(arguments.split(' ')).output();
    let output = output.expect("ip: run tests/run");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "ip {arguments}: {said}");
}
