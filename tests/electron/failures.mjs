// Failures for the tests, with what each kind has in any case.

/** How a child ended, as state.js keeps it. */
export const failure = (fields) => ({
  code: 'backend-ended',
  message: null,
  remedy: null,
  path: null,
  log: null,
  exitCode: null,
  signal: null,
  lastLines: [],
  ...fields,
});

/** The engine's own word for why it ends. */
export const failed = (code, message = 'm', remedy = 'r') => ({
  event: 'failed',
  code,
  message,
  remedy,
  path: null,
  log: null,
});
