'use strict';

// What a release has to confirm first: these names were chosen while building, and agreed on with nobody who owns them.

module.exports = Object.freeze({
  /** How systems know the app; changed later, installed copies are no longer updated but joined by a second app. */
  appId: 'studio.peft.app',
  /** Where people get the app; also the address in the deb. */
  homepage: 'https://github.com/peft-studio/peft-studio',
  /** Of the files that belong to the app: configurations, as it exports them. */
  extension: 'peftconfig',
});
