import path from 'node:path';
import { defineConfig } from 'vitest/config';

const here = import.meta.dirname;
const tests = path.join(here, '..', 'tests', 'electron');

export default defineConfig({
  root: path.join(here, '..'),
  plugins: [
    {
      // The tests lie in the repository's tests/, their libraries here.
      name: 'libraries-of-this-folder',
      enforce: 'pre',
      resolveId(source, importer) {
        const isLibrary = /^[@a-z]/.test(source) && !source.startsWith('node:');
        if (!isLibrary || importer?.startsWith(`${tests}${path.sep}`) !== true) return null;
        return this.resolve(source, path.join(here, 'package.json'), { skipSelf: true });
      },
    },
  ],
  test: {
    dir: tests,
    include: ['**/*.test.mjs'],
    // Without a staged engine there is nothing to test it with; with one, a broken one has to fail.
    exclude: process.env.PEFT_STUDIO_RESOURCES === undefined ? ['**/real-engine.test.mjs'] : [],
    cache: false,
    testTimeout: 20_000,
    hookTimeout: 60_000,
    maxWorkers: 2,
    minWorkers: 1,
  },
});
