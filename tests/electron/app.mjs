// The app around a fake engine, gone after the test.

import fs from 'node:fs';
import path from 'node:path';
import { drive } from './drive.mjs';
import { fakeResources, folder, later } from './engines.mjs';
import { killAll } from './processes.mjs';

export { answerOf, did, isFailed } from './drive.mjs';

/** Starts the app, with `pages` for its index.html, if any; `prepare` gets the engine's folder before. */
export function startApp(steps = [{ serve: {} }], { pages, prepare, root = folder(), env = {}, ...options } = {}) {
  const { resourcesPath } = fakeResources(root);
  prepare?.(path.join(resourcesPath, 'backend'));
  const appPath = path.join(root, 'app');
  if (pages !== undefined) write(path.join(appPath, 'renderer', 'dist', 'index.html'), pages);
  later(() => killAll(root));
  const driven = drive(
    { resourcesPath, userData: path.join(root, 'user'), appPath, ...options },
    { FAKE_ENGINE: JSON.stringify(steps), OWNED: root, ...env },
  );
  return { ...driven, root };
}

/** @param {string} file @param {string} text */
function write(file, text) {
  fs.mkdirSync(path.dirname(file), { recursive: true });
  fs.writeFileSync(file, text);
}
