'use strict';

// Owns an engine, as the app's main process does, until it is killed: `node owner.js OPTIONS` with JSON options.
// Says each phase on stdout.

const { BackendServiceManager } = require('../../electron-resources/main/backend-service-manager');
const { OrphanRecord } = require('../../electron-resources/main/orphan');
const { locateEngine } = require('../../electron-resources/main/place');

const { resourcesPath, record } = JSON.parse(process.argv[2]);
const { platform } = process;
const context = { isPackaged: true, platform, resourcesPath, repository: '', environment: {} };
const silent = () => undefined;
const complain = (what) => process.stderr.write(`${JSON.stringify(what)}\n`);
const manager = new BackendServiceManager({
  place: locateEngine(context),
  platform,
  environment: process.env,
  token: 'a-token',
  log: { file: '', info: silent, warn: silent, error: complain, line: silent, failure: complain },
  orphan: record && new OrphanRecord(record, platform),
});
manager.on('state', ({ phase }) => process.stdout.write(`${phase}\n`));
manager.start();
