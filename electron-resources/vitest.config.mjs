import path from 'node:path';
import { defineConfig } from 'vitest/config';

const here = import.meta.dirname;
const root = path.join(here, '..');
const tests = path.join(root, 'tests', 'electron');
const ENGINE = '**/real-engine.test.mjs';

/** The tests lie in the repository's tests/, their libraries here. */
const libraries = {
  name: 'libraries-of-this-folder',
  enforce: 'pre',
  resolveId(source, importer) {
    const isLibrary = /^[@a-z]/.test(source) && !source.startsWith('node:');
    if (!isLibrary || importer?.startsWith(`${tests}${path.sep}`) !== true) return null;
    return this.resolve(source, path.join(here, 'package.json'), { skipSelf: true });
  },
};

/** Tests that run at the same time; groups run one after the other. */
const group = (name, groupOrder, { testTimeout = 60_000, ...files }) => ({
  root,
  plugins: [libraries],
  test: {
    name,
    dir: tests,
    setupFiles: path.join(tests, 'seed.mjs'),
    testTimeout,
    hookTimeout: 120_000,
    expect: { poll: { timeout: testTimeout / 2 } },
    sequence: { groupOrder },
    ...files,
  },
});

const groups = [group('parts', 0, { include: ['**/*.test.mjs'], exclude: [ENGINE] })];
// Without a staged engine there is nothing to test it with; with one, a broken one has to fail. Alone, since it
// takes the whole machine.
if (process.env.PEFT_STUDIO_RESOURCES !== undefined)
  groups.push(group('engine', 1, { include: [ENGINE], testTimeout: 120_000 }));

export default defineConfig({ root, test: { maxWorkers: 2, minWorkers: 1, projects: groups } });
