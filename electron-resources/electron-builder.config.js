'use strict';

// How the app is packed. The engine's resources are copied as they are: signed, checksummed and compressed already.

const path = require('node:path');
const { Arch } = require('electron-builder');
const { checkArtifacts } = require('./build/artifacts');
const { checkPacked } = require('./build/after-pack');
const { checkEngineFolder } = require('./build/engine-folder');
const { resourcesOf } = require('./build/platforms');
const { signMac } = require('./build/sign-mac');
const { digestOf } = require('./main/engine-files');
const { checkTargets, engineBytesOf, windowsTargets } = require('./build/targets');
const { appId, extension, homepage } = require('./release');

const { PEFT_STUDIO_PAGES, PEFT_STUDIO_RESOURCES, PEFT_STUDIO_SIGNING, PEFT_STUDIO_UPDATES_URL, APPLE_TEAM_ID } =
  process.env;

/** The folder of the engine that is being packed. */
let staged = '';

/** @type {import('electron-builder').Configuration} */
module.exports = {
  appId,
  extraMetadata: { homepage }, // deb needs it
  copyright: 'MIT licence',
  directories: { output: 'release', buildResources: 'build' },
  npmRebuild: false, // there are no native modules
  files: [
    ...['package.json', 'channels.js', 'release.js', 'main/**', 'preload/**', 'first-run/**'],
    { from: PEFT_STUDIO_PAGES ?? 'renderer/dist', to: 'renderer/dist' },
  ],
  asar: true,

  // Before anything is copied the staged engine is checked: of a folder that is not there, electron-builder only warns.
  beforePack: async ({ electronPlatformName, arch, targets, packager }) => {
    const engine = resourcesOf(electronPlatformName, Arch[arch], PEFT_STUDIO_RESOURCES);
    await checkEngineFolder(engine, electronPlatformName);
    checkTargets(
      targets.map(({ name }) => name),
      engineBytesOf(engine),
    );
    staged = engine;
    // The app knows which engine belongs to it.
    packager.config.extraMetadata.engineManifest = await digestOf(engine, 'manifest.json');
    process.env.PEFT_STUDIO_ENGINE = path.relative(__dirname, engine); // extraResources takes it relative to here
  },
  extraResources: [{ from: '${env.PEFT_STUDIO_ENGINE}', to: 'backend', filter: ['**/*'] }],
  afterPack: (context) => checkPacked(context, staged),
  afterAllArtifactBuild: (result) => checkArtifacts(result, staged),

  // Without a certificate the builder warns and goes on, for development; a release must not.
  forceCodeSigning: PEFT_STUDIO_SIGNING === 'required',
  // Where updates lie is known to whoever releases. Without it the app looks for none.
  publish: PEFT_STUDIO_UPDATES_URL ? [{ provider: 'generic', url: PEFT_STUDIO_UPDATES_URL }] : null,

  fileAssociations: [
    {
      ext: extension,
      name: 'PEFT Studio configuration',
      description: 'A training configuration, as PEFT Studio exports it',
      mimeType: 'application/x-peft-studio-configuration',
      role: 'Editor',
    },
  ],

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
    icon: 'icons',
    category: 'Development',
    maintainer: 'PEFT Studio',
  },
  mac: {
    target: ['dmg', 'zip'],
    category: 'public.app-category.developer-tools',
    hardenedRuntime: true,
    entitlements: 'build/entitlements.mac.plist',
    entitlementsInherit: 'build/entitlements.mac.plist',
    icon: 'icon.icns',
    sign: signMac,
    // signMac has signed the engine, and engine.json notes its checksum: signing it again would make that wrong.
    signIgnore: ['/Contents/Resources/backend/'],
    notarize: APPLE_TEAM_ID !== undefined,
  },
  dmg: { writeUpdateInfo: false },
  win: {
    target: windowsTargets(engineBytesOf(resourcesOf('win32', 'x64', PEFT_STUDIO_RESOURCES))),
    executableName: 'peft-studio',
    icon: 'icon.ico',
    requestedExecutionLevel: 'asInvoker',
  },
  portable: { artifactName: '${productName}-${version}-portable.${ext}' },
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
