// Which processes live, by what stands in their command line or environment.

import { execFileSync } from 'node:child_process';
import fs from 'node:fs';

/** The PIDs of all living processes in whose command line or environment `text` stands. */
export function processesWith(text) {
  return fs
    .readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .filter((pid) => ['cmdline', 'environ'].some((file) => read(`/proc/${pid}/${file}`).includes(text)))
    .map(Number);
}

function read(file) {
  try {
    return fs.readFileSync(file, 'latin1');
  } catch (error) {
    if (['ENOENT', 'ESRCH', 'EACCES'].includes(error.code)) return ''; // it has ended, or is a stranger's
    throw error;
  }
}

/** How long the slowest machine may take to end a process, in milliseconds. How long it takes is for bench.mjs to say. */
const LONGEST_MS = 30_000;

/** Settles once no living process has `text` about it; rejects after `limitMs`. */
export function awaitNobody(text, limitMs = LONGEST_MS) {
  return untilNobody(text, limitMs, () => undefined);
}

/** Kills every living process that has `text` about it, whatever is forked meanwhile; settles once they are gone. */
export function killAll(text) {
  return untilNobody(text, LONGEST_MS, (left) => left.forEach(kill));
}

async function untilNobody(text, limitMs, act) {
  const deadline = performance.now() + limitMs;
  for (;;) {
    const left = processesWith(text);
    if (left.length === 0) return;
    if (performance.now() > deadline) throw new Error(`still there: ${execFileSync('ps', ['-f', '-p', left.join()])}`);
    act(left);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** Kills a process, or the group of the number without its sign, that may have ended already. */
export function kill(pid) {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    if (error.code !== 'ESRCH') throw error;
  }
}
