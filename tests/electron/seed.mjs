// Before each test file: in CI every run tries the same values, so that a change alone can make it fail; elsewhere each
// run tries others.

import fc from 'fast-check';

if (process.env.CI) fc.configureGlobal({ seed: 1 });
