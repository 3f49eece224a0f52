// Runs a command of the package that npm installed for this system, in the place of this process
// as far as node can: its streams, its signals, and how it ends.

const { spawn } = require('node:child_process');
const os = require('node:os');
const { command, NoPackage } = require('./where.js');

module.exports = function run(name) {
  let path;
  try {
    path = command(name);
  } catch (error) {
    if (!(error instanceof NoPackage)) throw error;
    process.stderr.write(`${name}: error: ${error.message}\nhint: ${error.hint}\n`);
    process.exitCode = 78;
    return;
  }
  const child = spawn(path, process.argv.slice(2), { stdio: 'inherit' });
  // The terminal sends its own to both; the child decides, and this process follows it.
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT'];
  const pass = {};
  for (const signal of signals) {
    pass[signal] = () => child.kill(signal);
    process.on(signal, process.stdin.isTTY && signal === 'SIGINT' ? () => {} : pass[signal]);
  }
  child.on('error', (error) => {
    process.stderr.write(`${name}: error: '${path}': ${error.message}\n`);
    process.exitCode = 74;
  });
  child.on('exit', (status, signal) => {
    if (signal === null) {
      process.exit(status);
    }
    for (const known of signals) process.removeAllListeners(known);
    process.kill(process.pid, signal);
    setTimeout(() => process.exit(128 + (os.constants.signals[signal] ?? 0)), 100);
  });
};
