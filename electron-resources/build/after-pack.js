'use strict';

// After electron-builder has copied everything: the app must hold the engine that was staged, and say so truly.

const path = require('node:path');
const { digestOf } = require('../main/engine-files');
const { checkCopy, checkEngineFolder, noteLauncher } = require('./engine-folder');
const { isSignedCopy } = require('./signed-copy');

/**
 * Throws where the packed engine is not the staged one, which stops the build.
 *
 * @param {import('electron-builder').AfterPackContext} context
 * @param {string} staged
 */
async function checkPacked({ appOutDir, electronPlatformName, packager }, staged) {
  const packed = path.join(packager.getResourcesDir(appOutDir), 'backend');
  // On Windows the builder signs programs as it copies them, if it has a certificate.
  const signed = electronPlatformName === 'win32' ? await signedLauncher(staged, packed) : [];
  await checkCopy(staged, packed, signed);
  if (signed.length > 0) await noteLauncher(packed);
  await checkEngineFolder(packed, electronPlatformName);
}

const LAUNCHER = 'peft_engine.exe';

/** @param {string} staged @param {string} packed @returns {Promise<string[]>} the launcher, if it differs by its signature alone */
async function signedLauncher(staged, packed) {
  const [before, after] = await Promise.all([staged, packed].map((folder) => digestOf(folder, LAUNCHER)));
  if (before === after) return [];
  return (await isSignedCopy(path.join(staged, LAUNCHER), path.join(packed, LAUNCHER))) ? [LAUNCHER] : [];
}

module.exports = { checkPacked };
