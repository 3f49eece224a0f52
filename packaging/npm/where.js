// Where npm put the commands for this system.

const path = require('node:path');

class NoPackage extends Error {
  constructor(system) {
    super(`the package codex-accounts-${system} is not installed`);
    this.hint = 'install again without --no-optional; systems: linux, darwin and win32 (x64), linux and darwin (arm64)';
  }
}

exports.NoPackage = NoPackage;

exports.command = function command(name) {
  const system = `${process.platform}-${process.arch}`;
  const suffix = process.platform === 'win32' ? '.exe' : '';
  let manifest;
  try {
    manifest = require.resolve(`codex-accounts-${system}/package.json`);
  } catch {
    throw new NoPackage(system);
  }
  return path.join(path.dirname(manifest), 'bin', name + suffix);
};
