class CodexAccounts < Formula
  desc "@DESCRIPTION@"
  version "@VERSION@"
  license "MIT"

  on_macos do
    on_arm do
      url "@URL@/codex-accounts-@VERSION@-darwin-arm64.tar.gz"
      sha256 "@SHA256_darwin-arm64@"
    end
    on_intel do
      url "@URL@/codex-accounts-@VERSION@-darwin-x64.tar.gz"
      sha256 "@SHA256_darwin-x64@"
    end
  end

  on_linux do
    on_arm do
      url "@URL@/codex-accounts-@VERSION@-linux-arm64.tar.gz"
      sha256 "@SHA256_linux-arm64@"
    end
    on_intel do
      url "@URL@/codex-accounts-@VERSION@-linux-x64.tar.gz"
      sha256 "@SHA256_linux-x64@"
    end
  end

  def install
    bin.install Dir["bin/*"]
    man1.install Dir["man/*.1"]
    man5.install Dir["man/*.5"]
    man7.install Dir["man/*.7"]
    bash_completion.install Dir["completions/bash/*"]
    zsh_completion.install Dir["completions/zsh/*"]
    fish_completion.install Dir["completions/fish/*"]
  end

  test do
    assert_equal "r1|a1\n", pipe_output("#{bin}/codex-token-encode --force", '{"refreshToken":"r1","chatgptAccountId":"a1"}')
  end
end
