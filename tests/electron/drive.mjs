// Drives the app's main process, with a stand-in for Electron: through its stdin, and following its stdout.

import { spawn } from 'node:child_process';
import path from 'node:path';
import readline from 'node:readline';

const MAIN = path.join(import.meta.dirname, 'fake-electron.js');

export const did = (name) => (what) => what.did === name;
export const isFailed = ({ payload }) => payload?.mood === 'failed';
export const answerOf = (channel) => (what) => ['answer', 'refusal'].includes(what.did) && what.channel === channel;

/**
 * Starts the app with the options of fake-electron.js. `next` settles with the next thing it did that fits, `ask` makes
 * it do something, `press` presses a button of the engine's page.
 */
export function drive(options, env) {
  const stdio = ['pipe', 'pipe', 'pipe'];
  const app = spawn(process.execPath, [MAIN, JSON.stringify(options)], { env: { ...process.env, ...env }, stdio });
  const told = [];
  const waiting = new Set();
  readline.createInterface({ input: app.stdout }).on('line', (line) => {
    told.push(line.startsWith('{') ? JSON.parse(line) : line);
    for (const { look } of waiting) look();
  });
  let complaints = '';
  app.stderr.on('data', (text) => (complaints += text));
  let reason = null;
  app.once('exit', (code) => {
    reason = new Error(`the app ended with ${code}: ${complaints}`);
    for (const { reject } of waiting) reject(reason);
  });
  let seen = 0;
  const next = (fits) =>
    new Promise((resolve, reject) => {
      const one = { reject, look };
      function look() {
        const at = told.findIndex((what, index) => index >= seen && fits(what));
        if (at === -1) return;
        seen = at + 1;
        waiting.delete(one);
        resolve(told[at]);
      }
      waiting.add(one);
      look();
      if (reason !== null) reject(reason);
    });
  const ask = (what) => app.stdin.write(`${JSON.stringify(what)}\n`);
  const press = (button) => ask({ invoke: 'engine-press', args: [button], from: 'peft-studio://engine/' });
  const ready = () => next(({ payload }) => payload?.mood === 'ready');
  return { app, told, next, ask, press, ready };
}

/** The engine's address and the headers for it, of an app that is ready. */
export async function lineTo({ told, ask, next }) {
  const { urls } = told.findLast(did('filter'));
  const base = urls[0].slice(0, -2);
  ask({ headers: { url: `${base}/api`, page: 'peft-studio://app/' } });
  const { requestHeaders } = await next(did('headers'));
  return { base, headers: requestHeaders };
}
