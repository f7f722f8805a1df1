'use strict';

// The Chromium of this machine, which draws the icons and shows tests the engine's pages.

const { existsSync } = require('node:fs');
const { chromium } = require('playwright-core');

const USUAL = Object.freeze(['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome']);

/** @returns {Promise<import('playwright-core').Browser>} which the caller closes */
async function launchChromium() {
  const executablePath = process.env.PEFT_STUDIO_CHROMIUM ?? USUAL.find((file) => existsSync(file));
  if (executablePath === undefined)
    throw new Error(`Chromium is needed: install it as ${USUAL[0]}, or name it in PEFT_STUDIO_CHROMIUM.`);
  // However long a busy machine takes: who waits has a limit of his own.
  return chromium.launch({ executablePath, args: ['--no-sandbox'], timeout: 0 });
}

module.exports = { launchChromium };
