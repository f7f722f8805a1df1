'use strict';

// Which processes live, and which process a PID means: a PID alone may have been given to a stranger since.

const { execFile } = require('node:child_process');
const { readFile, readdir } = require('node:fs/promises');
const { setTimeout: pause } = require('node:timers/promises');
const { promisify } = require('node:util');

const run = promisify(execFile);
const POLL_MS = 20;

/** What a system's program may take to answer, in milliseconds. */
const ANSWER_MS = 5_000;

/** @param {unknown} error @param {...string} codes */
const isSystemError = (error, ...codes) => error instanceof Error && codes.includes(String(Reflect.get(error, 'code')));

/**
 * Returns a text that is the same for one process as long as it lives, and another for whoever gets its PID later;
 * null where no such process lives.
 *
 * @param {number} pid
 * @param {NodeJS.Platform} platform
 * @returns {Promise<string | null>}
 */
async function startOf(pid, platform) {
  if (platform === 'linux') return startOnLinux(pid);
  const [program, ...args] =
    platform === 'win32'
      ? ['powershell.exe', '-NoProfile', '-Command', `(Get-Process -Id ${pid}).StartTime.ToFileTimeUtc()`]
      : ['/bin/ps', '-o', 'lstart=', '-p', String(pid)];
  try {
    const { stdout } = await run(program, args, {
      windowsHide: true,
      timeout: ANSWER_MS,
      env: { ...process.env, LC_ALL: 'C' },
    });
    return stdout.trim() || null;
  } catch (error) {
    // Both programs end with a number where there is no such process; a text is the system's word for their own failure.
    if (typeof Reflect.get(/** @type {object} */ (error), 'code') === 'number') return null;
    throw error;
  }
}

/** @param {number} pid */
async function startOnLinux(pid) {
  const fields = await readStat(pid);
  if (fields === null || fields.state === 'Z') return null;
  const boot = await readFile('/proc/sys/kernel/random/boot_id', 'ascii');
  return `${boot.trim()} ${fields.start}`;
}

/**
 * @param {number | string} pid
 * @returns {Promise<{state: string, group: number, start: string} | null>} null where there is no such process
 */
async function readStat(pid) {
  let text;
  try {
    text = await readFile(`/proc/${pid}/stat`, 'utf8');
  } catch (error) {
    if (isSystemError(error, 'ENOENT', 'ESRCH')) return null;
    throw error;
  }
  // The second field is the program's name in brackets, and may itself hold spaces and brackets.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return { state: fields[0], group: Number(fields[2]), start: fields[19] };
}

/**
 * Sends a signal to a process group.
 *
 * @param {number} group
 * @param {NodeJS.Signals | 0} signal
 * @returns {boolean} whether the group has any process
 */
function signalGroup(group, signal) {
  try {
    process.kill(-group, signal);
    return true;
  } catch (error) {
    if (isSystemError(error, 'ESRCH')) return false;
    // macOS says EPERM of a group that holds nothing but zombies; of a live one of our own user it never does.
    if (isSystemError(error, 'EPERM')) return false;
    throw error;
  }
}

/** @param {number} group @param {NodeJS.Platform} platform */
async function groupLives(group, platform) {
  if (!signalGroup(group, 0)) return false;
  if (platform !== 'linux') return true;
  // The signal also reaches zombies, which a careless init process may keep for ever.
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const all = await Promise.all(pids.map((pid) => readStat(pid)));
  return all.some((stat) => stat !== null && stat.group === group && stat.state !== 'Z');
}

/**
 * Ends every process of a group, or on Windows of a tree, at once. Who is left is for awaitGone to say.
 *
 * @param {number} pid of the group's leader
 * @param {NodeJS.Platform} platform
 */
async function killAll(pid, platform) {
  if (platform !== 'win32') {
    signalGroup(pid, 'SIGKILL');
    return;
  }
  try {
    await run('taskkill.exe', ['/PID', String(pid), '/T', '/F'], { windowsHide: true, timeout: ANSWER_MS });
  } catch (error) {
    // 128: there is no such process any more, which is what was wanted. Else one of the tree may have been ending already,
    // and others be left: without its launcher, the job object ends them.
    if (Reflect.get(/** @type {object} */ (error), 'code') !== 128) signalProcess(pid, 'SIGKILL');
  }
}

/**
 * @param {number} pid
 * @param {NodeJS.Signals | 0} signal
 * @returns {boolean} whether there is such a process
 */
function signalProcess(pid, signal) {
  try {
    process.kill(pid, signal);
    return true;
  } catch (error) {
    if (isSystemError(error, 'ESRCH')) return false;
    if (isSystemError(error, 'EPERM')) return true;
    throw error;
  }
}

/**
 * Waits until no process of a group, or on Windows the process itself, is left.
 *
 * @param {number} pid
 * @param {{platform: NodeJS.Platform, limitMs: number}} options
 * @returns {Promise<boolean>} false where `limitMs` came first
 */
async function awaitGone(pid, { platform, limitMs }) {
  const deadline = performance.now() + limitMs;
  const lives = async () => (platform === 'win32' ? signalProcess(pid, 0) : groupLives(pid, platform));
  while (await lives()) {
    if (performance.now() >= deadline) return false;
    await pause(POLL_MS);
  }
  return true;
}

module.exports = { awaitGone, groupLives, isSystemError, killAll, signalGroup, startOf };
