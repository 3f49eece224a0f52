# fish asks the command itself, which knows its flags and the accounts.
codex-accounts completions fish | source
