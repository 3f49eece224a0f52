//! Where the only way out is a SOCKS proxy that also knows the names (`ALL_PROXY=socks5h://…`): every
//! request of ours goes that way, and no name is looked up here.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;

use codex_accounts::rehearse::{Pretend, Script};
use serde_json::json;

use super::support::Home;
use super::support::network;
use super::support::pretend::now_millis;
use super::support::request::QUESTION;

/// A proxy that knows every name as this machine, and tells which it was asked for.
fn serve(carry: fn(TcpStream, &Sender<String>) -> io::Result<()>) -> (u16, Receiver<String>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let (asked, names) = mpsc::channel();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let asked = asked.clone();
            // What goes wrong here, the client sees.
            thread::spawn(move || drop(carry(stream, &asked)));
        }
    });
    (port, names)
}

/// SOCKS (RFC 1928).
fn by_socks(mut client: TcpStream, asked: &Sender<String>) -> io::Result<()> {
    let mut methods = [0; 2];
    client.read_exact(&mut methods)?;
    client.read_exact(&mut vec![0; usize::from(methods[1])])?;
    client.write_all(&[5, 0])?;
    let mut head = [0; 4];
    client.read_exact(&mut head)?;
    let mut length = [0];
    client.read_exact(&mut length)?;
    let mut name = vec![0; usize::from(length[0]) + 2];
    client.read_exact(&mut name)?;
    let port = u16::from_be_bytes([name[name.len() - 2], name[name.len() - 1]]);
    name.truncate(name.len() - 2);
    assert_eq!(
        head[3], 3,
        "a name, and not an address that was looked up here"
    );
    let _ = asked.send(String::from_utf8_lossy(&name).into_owned());
    let server = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    client.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0])?;
    carry(client, server)
}

/// HTTP's `CONNECT` (RFC 9110 §9.3.6), for who knows a password.
fn by_tunnel(mut client: TcpStream, asked: &Sender<String>) -> io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        client.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&head).to_lowercase();
    // `me:secret`, in base64.
    if !head.contains("proxy-authorization: basic bwu6c2vjcmv0\r\n") {
        return client.write_all(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n");
    }
    let place = head.split(' ').nth(1).unwrap_or_default();
    let (name, port) = place.rsplit_once(':').expect("a name and a port");
    let _ = asked.send(name.to_owned());
    let port: u16 = port.parse().expect("a port");
    let server = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    client.write_all(b"HTTP/1.1 200 OK\r\n\r\n")?;
    carry(client, server)
}

fn carry(mut client: TcpStream, mut server: TcpStream) -> io::Result<()> {
    let (mut from, mut to) = (client.try_clone()?, server.try_clone()?);
    thread::spawn(move || {
        let _ = io::copy(&mut from, &mut to);
        let _ = to.shutdown(std::net::Shutdown::Write);
    });
    io::copy(&mut server, &mut client)?;
    client.shutdown(std::net::Shutdown::Write)
}

#[test]
fn a_socks_proxy_carries_refresh_usage_and_relay_and_knows_the_names() {
    network::alone(|| {
        let mut home = Home::new();
        let pretend = Pretend::start(Script::with_accounts(1)).expect("the pretend servers start");
        let _front = home.use_real_names(&pretend);
        let tokens = pretend.issue(0).expect("an account");
        home.write_store(&json!({"version": 1, "activeIndex": 0, "accounts": [{
            "refreshToken": tokens.refresh_token, "accessToken": tokens.access_token,
            "idToken": tokens.id_token, "chatgptAccountId": "account-one",
            "chatgptUserId": "user-one", "email": "one@example.com", "addedAt": 1, "expiresAt": 1}]}));
        // From now on nobody here knows the real names.
        home.write("hosts", "127.0.0.1 localhost\n");
        let (port, names) = serve(by_socks);
        let asked = || names.try_iter().collect::<Vec<_>>();
        for variable in ["ALL_PROXY", "https_proxy"] {
            home.set(variable, format!("socks5h://127.0.0.1:{port}"));

            let shown = home.sh("codex-token-refresh --force");
            assert_eq!(shown.code, 0, "{shown}");
            assert_eq!(asked(), ["auth.openai.com"]);

            let shown = home.sh("codex-usage-fetch");
            assert_eq!(shown.code, 0, "{shown}");
            assert_eq!(asked(), ["chatgpt.com"]);

            let ask = "curl -sS --fail -H \"Authorization: Bearer $OPENAI_API_KEY\" \
                       -H 'content-type: application/json' -d @question \
                       \"$OPENAI_BASE_URL/responses\"";
            home.write("question", QUESTION);
            home.write("ask", ask);
            let shown = home.sh("codex-launch sh ask");
            assert_eq!(shown.code, 0, "{shown}");
            assert_eq!(asked(), ["chatgpt.com"]);
            home.unset(variable);
        }
    });
}

#[test]
fn a_proxy_carries_the_relay_through_a_tunnel_for_who_knows_its_password() {
    network::alone(|| {
        let mut home = Home::new();
        let pretend = Pretend::start(Script::with_accounts(1)).expect("the pretend servers start");
        let _front = home.use_real_names(&pretend);
        let tokens = pretend.issue(0).expect("an account");
        home.write_store(&json!({"version": 1, "activeIndex": 0, "accounts": [{
            "refreshToken": tokens.refresh_token, "accessToken": tokens.access_token,
            "chatgptAccountId": "account-one", "chatgptUserId": "user-one",
            "email": "one@example.com", "addedAt": 1,
            "expiresAt": now_millis() + 3_600_000}]}));
        home.write("hosts", "127.0.0.1 localhost\n");
        let (port, names) = serve(by_tunnel);
        home.write("question", QUESTION);
        home.write(
            "ask",
            "curl -sS -o answer -w '%{http_code}' -H \"Authorization: Bearer $OPENAI_API_KEY\" \
             -H 'content-type: application/json' -d @question \"$OPENAI_BASE_URL/responses\"",
        );
        for (login, status) in [("me:secret@", "200"), ("", "502")] {
            home.set("HTTPS_PROXY", format!("http://{login}127.0.0.1:{port}"));
            let shown = home.sh("codex-launch sh ask");
            assert!(shown.stdout.contains(status), "{shown}");
        }
        assert_eq!(names.try_iter().collect::<Vec<_>>(), ["chatgpt.com"]);
    });
}
