# Builds the commands, and installs them with their manual pages and completions:
#
#     make && sudo make install                    under /usr/local
#     make install PREFIX=/usr DESTDIR=/tmp/root   for a package
PREFIX ?= /usr/local
DESTDIR ?=

# Where the built commands are.
BUILT ?= target/release

bindir = $(DESTDIR)$(PREFIX)/bin
mandir = $(DESTDIR)$(PREFIX)/share/man
bashdir = $(DESTDIR)$(PREFIX)/share/bash-completion/completions
zshdir = $(DESTDIR)$(PREFIX)/share/zsh/site-functions
fishdir = $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d
unitdir = $(DESTDIR)$(PREFIX)/lib/systemd/user

commands = $(basename $(notdir $(wildcard bin/*.rs))) codex-store-postgres
built = $(addprefix $(BUILT)/,$(commands))

installed = \
	$(addprefix $(bindir)/,$(commands)) \
	$(foreach n,1 5 7,$(addprefix $(mandir)/man$(n)/,$(notdir $(wildcard man/*.$(n))))) \
	$(addprefix $(bashdir)/,$(notdir $(wildcard completions/bash/*))) \
	$(addprefix $(zshdir)/,$(notdir $(wildcard completions/zsh/*))) \
	$(addprefix $(fishdir)/,$(notdir $(wildcard completions/fish/*))) \
	$(addprefix $(unitdir)/,$(notdir $(wildcard units/*)))

.PHONY: all install uninstall

all:
	cargo build --release --locked

# Builds nothing: who installs may be root, and cargo is the person's.
install:
	@ls $(built) >/dev/null || { echo 'not built yet: run make first' >&2; exit 1; }
	install -d $(bindir) $(mandir)/man1 $(mandir)/man5 $(mandir)/man7 $(bashdir) $(zshdir) $(fishdir) $(unitdir)
	install -m 755 $(built) $(bindir)
	install -m 644 man/*.1 $(mandir)/man1
	install -m 644 man/*.5 $(mandir)/man5
	install -m 644 man/*.7 $(mandir)/man7
	install -m 644 completions/bash/* $(bashdir)
	install -m 644 completions/zsh/* $(zshdir)
	install -m 644 completions/fish/* $(fishdir)
	install -m 644 units/codex-proxy.socket $(unitdir)
	sed 's|/usr/bin/|$(PREFIX)/bin/|' units/codex-proxy.service >$(unitdir)/codex-proxy.service
	chmod 644 $(unitdir)/codex-proxy.service

uninstall:
	rm -f $(installed)
