'use strict';

// Who listens on a port of this machine, as far as the system tells a user.

const { execFile } = require('node:child_process');
const { readFile, readdir, readlink } = require('node:fs/promises');
const { promisify } = require('node:util');
const { isSystemError } = require('./processes');

const run = promisify(execFile);

/** What a system's program may take to answer, in milliseconds. */
const ANSWER_MS = 5_000;

/** In /proc/net/tcp, the state of a socket that listens. */
const LISTEN = '0A';

/** @typedef {Readonly<{pid: number, program: string}>} Holder */

/**
 * Returns who listens on the port; null where nobody does, or the system tells only another user.
 *
 * @param {number} port
 * @param {NodeJS.Platform} platform
 * @returns {Promise<Holder | null>}
 */
async function holderOf(port, platform) {
  if (platform === 'linux') return holderOnLinux(port);
  const [program, ...args] =
    platform === 'win32'
      ? ['powershell.exe', '-NoProfile', '-Command', queryOnWindows(port)]
      : ['/usr/sbin/lsof', '-nP', `-iTCP:${port}`, '-sTCP:LISTEN', '-Fpc'];
  try {
    const { stdout } = await run(program, args, { windowsHide: true, timeout: ANSWER_MS });
    return platform === 'win32' ? parsePowerShell(stdout) : parseLsof(stdout);
  } catch (error) {
    // Both end with 1 where nobody listens that this user may see.
    if (Reflect.get(/** @type {object} */ (error), 'code') === 1) return null;
    throw error;
  }
}

/** @param {number} port */
function queryOnWindows(port) {
  return (
    `$c = Get-NetTCPConnection -State Listen -LocalPort ${port} -ErrorAction Stop | Select-Object -First 1; ` +
    '"$($c.OwningProcess) $((Get-Process -Id $c.OwningProcess).ProcessName)"'
  );
}

/** @param {string} text for example `5092 ssh` @returns {Holder | null} */
function parsePowerShell(text) {
  const found = /^(\d+) (.+)$/m.exec(text.trim());
  return found && Object.freeze({ pid: Number(found[1]), program: found[2].trim() });
}

/** @param {string} text a letter and a value a line: `p5092`, `cssh` @returns {Holder | null} */
function parseLsof(text) {
  const pid = /^p(\d+)$/m.exec(text);
  const program = /^c(.+)$/m.exec(text);
  return pid && program && Object.freeze({ pid: Number(pid[1]), program: program[1] });
}

/** @param {number} port @returns {Promise<Holder | null>} */
async function holderOnLinux(port) {
  const tables = await Promise.all(['tcp', 'tcp6'].map((name) => read(`/proc/net/${name}`)));
  const inodes = tables.flatMap((table) => listeners(table, port));
  if (inodes.length === 0) return null;
  const sockets = new Set(inodes.map((inode) => `socket:[${inode}]`));
  for (const pid of (await readdir('/proc')).filter((name) => /^\d+$/.test(name))) {
    if (await holdsOneOf(pid, sockets))
      return Object.freeze({ pid: Number(pid), program: (await read(`/proc/${pid}/comm`)).trim() });
  }
  return null;
}

/** @param {string} table of /proc/net @param {number} port @returns {string[]} the inodes of its listening sockets */
function listeners(table, port) {
  const end = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  return table
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
    .filter((fields) => fields[1]?.endsWith(end) && fields[3] === LISTEN)
    .map((fields) => fields[9]);
}

/** @param {string} pid @param {ReadonlySet<string>} sockets */
async function holdsOneOf(pid, sockets) {
  try {
    const folder = `/proc/${pid}/fd`;
    const links = await Promise.all((await readdir(folder)).map((name) => target(`${folder}/${name}`)));
    return links.some((link) => sockets.has(link));
  } catch (error) {
    if (isSystemError(error, 'EACCES', 'EPERM', 'ENOENT', 'ESRCH')) return false; // a stranger's, or it has ended
    throw error;
  }
}

/** @param {string} link @returns {Promise<string>} empty where it has been closed meanwhile */
async function target(link) {
  try {
    return await readlink(link);
  } catch (error) {
    if (isSystemError(error, 'ENOENT', 'ESRCH')) return '';
    throw error;
  }
}

/** @param {string} file @returns {Promise<string>} empty where there is none: without IPv6, or its process has ended */
async function read(file) {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    if (isSystemError(error, 'ENOENT', 'ESRCH')) return '';
    throw error;
  }
}

module.exports = { holderOf, listeners, parseLsof, parsePowerShell };
