'use strict';

// Signs the app on macOS: first the launcher and its libraries, then engine.json is written again, since it names the
// launcher's checksum and the app's seal covers it, then the app. Mach-O files within the engine's archive are signed
// before they are packed; nothing of that is done here.

const { execFile } = require('node:child_process');
const { open, readdir } = require('node:fs/promises');
const path = require('node:path');
const { promisify } = require('node:util');
const { noteLauncher } = require('./engine-folder');

const ENTITLEMENTS = path.join(__dirname, 'entitlements.mac.plist');

/** The first four bytes of programs and libraries: of 64 bits, and of several machines in one file. */
const MACH_O = Object.freeze(['cffaedfe', 'cafebabe']);

/**
 * Rejects with codesign's own words where anything cannot be signed, which stops the build.
 *
 * @param {{app: string, identity?: string, keychain?: string}} options as electron-builder has them for osx-sign
 * @param {Readonly<{
 *   codesign: (...args: string[]) => Promise<unknown>,
 *   signApp: (options: any) => Promise<unknown>,
 * }>} [tools]
 */
async function signMac(options, { codesign, signApp } = TOOLS) {
  const { app, identity, keychain } = options;
  if (!identity) throw new Error(`There is no identity to sign ${app} with.`);
  const engine = path.join(app, 'Contents', 'Resources', 'backend');
  const flags = ['--force', '--timestamp', '--options', 'runtime', '--entitlements', ENTITLEMENTS];
  const key = keychain === undefined ? [] : ['--keychain', keychain];
  for (const file of await machFiles(engine)) await codesign(...flags, ...key, '--sign', identity, file);
  await noteLauncher(engine);
  await signApp(options);
}

/** @param {string} folder @returns {Promise<string[]>} the deepest first: what a program loads is signed before it */
async function machFiles(folder) {
  const found = [];
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    const file = path.join(entry.parentPath, entry.name);
    if (entry.isFile() && (await isMachO(file))) found.push(file);
  }
  const depth = (/** @type {string} */ file) => file.split(path.sep).length;
  return found.sort((one, other) => depth(other) - depth(one) || (one < other ? -1 : 1));
}

/** @param {string} file */
async function isMachO(file) {
  const handle = await open(file);
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(4), 0, 4, 0);
    return bytesRead === 4 && MACH_O.includes(buffer.toString('hex'));
  } finally {
    await handle.close();
  }
}

const TOOLS = Object.freeze({
  codesign: (/** @type {string[]} */ ...args) => promisify(execFile)('codesign', args),
  signApp: async (/** @type {any} */ options) => (await import('@electron/osx-sign')).sign(options),
});

module.exports = { signMac };
