// Puts the commands themselves in the place of the scripts that would start them, so that none
// waits for node. Where that can't be (Windows, another disk, scripts that are off) the scripts
// stay and do the same, only slower: nothing here is an error.

const fs = require('node:fs');
const path = require('node:path');
const { command } = require('./where.js');

const folder = path.join(__dirname, 'bin');

function replace(script) {
  const fresh = `${script}.fresh`;
  fs.rmSync(fresh, { force: true });
  fs.linkSync(command(path.basename(script)), fresh);
  fs.renameSync(fresh, script);
}

if (process.platform !== 'win32') {
  try {
    for (const name of fs.readdirSync(folder)) replace(path.join(folder, name));
  } catch {
    // See above.
  }
}
