# Installs the commands with their manual pages and completions, for people and
# for packages: make install PREFIX=/usr DESTDIR=/tmp/root
PREFIX ?= /usr/local
DESTDIR ?=

bindir = $(DESTDIR)$(PREFIX)/bin
mandir = $(DESTDIR)$(PREFIX)/share/man
bashdir = $(DESTDIR)$(PREFIX)/share/bash-completion/completions
zshdir = $(DESTDIR)$(PREFIX)/share/zsh/site-functions
fishdir = $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d

commands = $(basename $(notdir $(wildcard bin/*.rs)))
built = $(addprefix target/release/,$(commands))

.PHONY: all completions install uninstall

all:
	cargo build --release --locked

completions: all
	mkdir -p target/completions
	target/release/codex-accounts completions bash >target/completions/codex-accounts.bash
	target/release/codex-accounts completions zsh >target/completions/_codex-accounts
	target/release/codex-accounts completions fish >target/completions/codex-accounts.fish

install: completions
	install -d $(bindir) $(mandir)/man1 $(mandir)/man5 $(mandir)/man7 $(bashdir) $(zshdir) $(fishdir)
	install -m 755 $(built) $(bindir)
	install -m 644 man/*.1 $(mandir)/man1
	install -m 644 man/*.5 $(mandir)/man5
	install -m 644 man/*.7 $(mandir)/man7
	install -m 644 target/completions/codex-accounts.bash $(bashdir)/codex-accounts
	cd $(bashdir) && for name in $(filter-out codex-accounts,$(commands)); do ln -sf codex-accounts $$name; done
	install -m 644 target/completions/_codex-accounts $(zshdir)
	install -m 644 target/completions/codex-accounts.fish $(fishdir)

uninstall:
	rm -f $(addprefix $(bindir)/,$(commands))
	rm -f $(addprefix $(mandir)/,$(foreach n,1 5 7,$(addprefix man$(n)/,$(notdir $(wildcard man/*.$(n))))))
	rm -f $(addprefix $(bashdir)/,$(commands)) $(zshdir)/_codex-accounts $(fishdir)/codex-accounts.fish
