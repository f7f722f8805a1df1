'use strict';

// After electron-builder has copied everything, and before it signs: the app must hold the engine that was staged.

const path = require('node:path');
const { checkCopy, checkEngineFolder } = require('./engine-folder');

/**
 * Throws where the packed engine is not the staged one, which stops the build.
 *
 * @param {import('electron-builder').AfterPackContext} context
 * @param {string} staged
 */
async function checkPacked({ appOutDir, electronPlatformName, packager }, staged) {
  const packed = path.join(packager.getResourcesDir(appOutDir), 'backend');
  await checkCopy(staged, packed);
  await checkEngineFolder(packed, electronPlatformName);
}

module.exports = { checkPacked };
