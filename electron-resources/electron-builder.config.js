'use strict';

// How the app is packed. The engine's resources are copied as they are: signed, checksummed and compressed already.

const path = require('node:path');
const { Arch } = require('electron-builder');
const { checkArtifacts } = require('./build/artifacts');
const { checkPacked } = require('./build/after-pack');
const { checkEngineFolder } = require('./build/engine-folder');
const { resourcesOf } = require('./build/platforms');

/** The folder of the engine that is being packed. */
let staged = '';

/** @type {import('electron-builder').Configuration} */
module.exports = {
  appId: 'studio.peft.app',
  productName: 'PEFT Studio',
  copyright: 'MIT licence',
  directories: { output: 'release', buildResources: 'build' },
  npmRebuild: false, // there are no native modules
  files: ['package.json', 'channels.js', 'main/**', 'preload/**', 'first-run/**', 'renderer/dist/**'],
  asar: true,

  // Before anything is copied the staged engine is checked: of a folder that is not there, electron-builder only warns.
  beforePack: async ({ electronPlatformName, arch }) => {
    const engine = resourcesOf(electronPlatformName, Arch[arch], process.env.PEFT_STUDIO_RESOURCES);
    await checkEngineFolder(engine, electronPlatformName);
    staged = engine;
    process.env.PEFT_STUDIO_ENGINE = path.relative(__dirname, engine); // extraResources takes it relative to here
  },
  extraResources: [{ from: '${env.PEFT_STUDIO_ENGINE}', to: 'backend', filter: ['**/*'] }],
  afterPack: (context) => checkPacked(context, staged),
  afterAllArtifactBuild: (result) => checkArtifacts(result, staged),

  electronFuses: {
    runAsNode: false,
    enableCookieEncryption: true,
    enableNodeOptionsEnvironmentVariable: false,
    enableNodeCliInspectArguments: false,
    enableEmbeddedAsarIntegrityValidation: true,
    onlyLoadAppFromAsar: true,
    grantFileProtocolExtraPrivileges: false,
  },

  linux: {
    target: ['AppImage', 'deb'],
    executableName: 'peft-studio',
    category: 'Development',
    maintainer: 'PEFT Studio',
  },
  mac: {
    target: ['dmg', 'zip'],
    category: 'public.app-category.developer-tools',
    hardenedRuntime: true,
    entitlements: 'build/entitlements.mac.plist',
    entitlementsInherit: 'build/entitlements.mac.plist',
    // The launcher is signed before engine.json notes its checksum; signing it here would make that wrong.
    signIgnore: ['/Contents/Resources/backend/'],
    notarize: process.env.APPLE_TEAM_ID !== undefined,
  },
  dmg: { writeUpdateInfo: false },
  win: { target: ['nsis-web'], executableName: 'peft-studio', requestedExecutionLevel: 'asInvoker' },
  // NSIS cannot hold more than 2 GiB in one file: here the app lies in a package beside a small installer.
  nsisWeb: {
    oneClick: false,
    perMachine: false,
    allowElevation: false,
    allowToChangeInstallationDirectory: true,
    differentialPackage: false, // the archive is compressed: a difference would be all of it
    include: 'build/installer.nsh',
  },
};
