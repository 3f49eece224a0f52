//! What `codex-account-pick --help` says after the options.

use crate::account::pick::strategy;

/// Strategies, output, exit status and examples, as the page has them.
pub(super) fn more() -> String {
    format!(
        "\
Strategies:
{}

Output:
  A record, one JSON object on a line: v, index, chatgptAccountId, email,
  label, switched and more. With --explain, a record for each account.
  The other formats are what a program takes: headers for curl -H @-,
  curl-config for curl -K -, opencode for OPENCODE_AUTH_CONTENT, codex for
  Codex's auth.json. They hold an access token that is good for five minutes
  at least, and no refresh token.

Exit status:
  0   An account was printed
  1   There is no account, or none that is allowed
  2   The arguments are wrong
  65  The token can't be written in a header
  69  The token could not be renewed
  74  Input or output failed
  75  Every account is limited; standard error says until when
  77  No account can be used without a new login
  78  The store is corrupt, or a setting is bad

Examples:
  account=$(codex-account-pick --model gpt-5.5 | jq .index)
  codex-account-pick --format curl-config | curl -sS -K - \"$url\"
  codex-account-pick --explain | jq -c '[.label, .reason]'",
        strategy::EXPLAINED
    )
}
