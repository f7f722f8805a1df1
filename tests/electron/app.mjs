// The app's main process with a stand-in for Electron, driven through its stdin and followed through its stdout.

import { spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import readline from 'node:readline';
import { fakeResources, folder, later, processesWith } from './engines.mjs';

const MAIN = path.join(import.meta.dirname, 'fake-electron.js');

/** Starts the app, with `pages` for its index.html, if any; `next` settles with the next thing it did that fits, `ask` makes it do something. */
export function startApp(steps = [{ serve: {} }], { pages, ...options } = {}) {
  const root = folder();
  const { resourcesPath } = fakeResources(root);
  const appPath = path.join(root, 'app');
  if (pages !== undefined) write(path.join(appPath, 'renderer', 'dist', 'index.html'), pages);
  const given = JSON.stringify({ resourcesPath, userData: path.join(root, 'user'), appPath, ...options });
  const env = { ...process.env, FAKE_ENGINE: JSON.stringify(steps), OWNED: root };
  const app = spawn(process.execPath, [MAIN, given], { env, stdio: ['pipe', 'pipe', 'pipe'] });
  later(() => {
    for (const pid of processesWith(root)) process.kill(pid, 'SIGKILL');
  });
  const told = [];
  const waiting = new Set();
  readline.createInterface({ input: app.stdout }).on('line', (line) => {
    told.push(line.startsWith('{') ? JSON.parse(line) : line);
    for (const look of waiting) look();
  });
  let complaints = '';
  app.stderr.on('data', (text) => (complaints += text));
  let seen = 0;
  const next = (fits) =>
    new Promise((resolve, reject) => {
      const look = () => {
        const at = told.findIndex((what, index) => index >= seen && fits(what));
        if (at === -1) return;
        seen = at + 1;
        waiting.delete(look);
        resolve(told[at]);
      };
      waiting.add(look);
      app.once('exit', (code) => reject(new Error(`the app ended with ${code}: ${complaints}`)));
      look();
    });
  const ask = (what) => app.stdin.write(`${JSON.stringify(what)}\n`);
  const ready = () => next(({ did, payload }) => did === 'send' && payload.mood === 'ready');
  return { app, root, told, next, ask, ready };
}

export const did = (name) => (what) => what.did === name;
export const answerOf = (channel) => (what) => ['answer', 'refusal'].includes(what.did) && what.channel === channel;

/** @param {string} file @param {string} text */
function write(file, text) {
  fs.mkdirSync(path.dirname(file), { recursive: true });
  fs.writeFileSync(file, text);
}
