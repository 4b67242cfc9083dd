//! spice-gtk with tickets that an operator made over the control socket: once, and to look only.

use std::process::Command;

use super::picture::same_picture;
use super::programs::{Client, Program, Sumac, needs, sumac_binary, tool, until};

fn ticket(sumac: &Sumac, options: &[&str]) -> String {
    let mut command = Command::new(sumac_binary());
    command.args(["ticket", "--for", "alice", "--control"]).arg(sumac.dir().join("control")).args(options);
    String::from_utf8(command.output().unwrap().stdout).unwrap().trim_end().to_owned()
}

fn client(sumac: &Sumac, ticket: &str) -> Command {
    let mut command = Command::new(tool("spice-client.py"));
    command.args([&sumac.tcp_uri(), "--password", ticket]);
    command
}

#[test]
fn spice_gtk_comes_in_once_with_all_its_channels_or_to_look_only() {
    needs!("spice_gtk_comes_in_once_with_all_its_channels_or_to_look_only": "gi");
    let sumac = Sumac::start_with_password(&["--freeze", "--control", "control"]);
    let once = ticket(&sumac, &["--once"]);
    let mut viewer = Client::start(&mut client(&sumac, &once));
    same_picture(&mut viewer, &sumac);
    let mut second = Client(Program::start(&mut client(&sumac, &once)));
    second.event("\"error\"");
    until("the reason", || sumac.program.log().contains("the one-time ticket was used before"));
    let mut looker = Client::start(&mut client(&sumac, &ticket(&sumac, &["--view-only"])));
    same_picture(&mut looker, &sumac);
    looker.does("key press 30");
    until("a word about input", || sumac.program.log().contains("this viewer may only look"));
}
