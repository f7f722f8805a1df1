'use strict';

// Becoming the launcher, as far as one program can become another: inside an AppImage nobody else reaches it.

const { spawn } = require('node:child_process');

/**
 * Returns what follows `--engine` on the app's own command line, or null where that is not there.
 *
 * @param {readonly string[]} argv
 * @returns {readonly string[] | null}
 */
function engineArguments(argv) {
  const at = argv.indexOf('--engine');
  return at === -1 ? null : argv.slice(at + 1);
}

/**
 * Runs the launcher in the place of the app.
 *
 * @param {import('./place').Place} place
 * @param {readonly string[]} args
 * @param {(status: number) => void} exit
 */
function passOn(place, args, exit) {
  if (place.mode !== 'production') throw new Error('There is no launcher in development: run python -m launcher.');
  const child = spawn(place.command, [...args], { stdio: 'inherit' });
  child.on('error', (error) => {
    process.stderr.write(`${error.message}\n`);
    exit(1);
  });
  child.on('exit', (code) => exit(code ?? 1));
}

module.exports = { engineArguments, passOn };
