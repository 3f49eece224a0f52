# fish asks codex-accounts, which knows the flags of all commands and the accounts.
codex-accounts completions fish | source
